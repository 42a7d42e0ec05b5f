# The README's two commands, make demo and make test, set up everything that they need.

# The first of these Python versions that runs. A pyenv shim in PATH may only print an error; then pyenv's folder is tried.
python = $(shell for version in $(1); do \
    for python in python$$version "$$(pyenv root 2>/dev/null)"/versions/$$version.*/bin/python; do \
        "$$python" -c 'import ensurepip, sys; print(sys.executable)' 2>/dev/null && exit; \
    done; done)
PYTHON ?= $(or $(call python,3.13 3.12 3.11),$(error farkeras needs Python 3.13, 3.12 or 3.11, and none of them runs \
    here: install one, or name it with PYTHON=/path/to/python))
PYTHON_OLDEST ?= $(or $(call python,3.11),$(error the oldest versions need Python 3.11, which does not run here: \
    install it, or name it with PYTHON_OLDEST=/path/to/python3.11))
BIN := .venv/bin
OLDEST := .venv-oldest/bin
TORCH := .venv-torch/bin
BENCH := .venv-bench/bin
FACES := data/celeba_procedural
MASK_FACES := data/masks_procedural
SHIPPED_MASKS := farkeras/models/shipped_masks
ASTRONAUT := data/astronaut.png
HELD_OUT := data/celeba_held_out
MOBILENET := data/mobilenet_v2-b0353104.pth

.PHONY: demo demo-mgmtn demo-pretrained mask-weights test test-oldest test-torch bench docs soak lint format protos install clean

install: .venv/installed

# The installation depends on both files: pyproject.toml has only [build-system], and setup.cfg has the rest. nncf comes
# without its dependencies, because it excludes NumPy 2.5 and networkx 3.7, although it works with both.
.venv/installed: setup.cfg pyproject.toml .ci/constraints.txt .ci/face_model.txt
	$(PYTHON) -m venv --clear .venv
	$(BIN)/pip install --quiet --constraint .ci/constraints.txt --editable '.[keypoints,protos,dev,docs]'
	$(BIN)/pip install --quiet --constraint .ci/constraints.txt --no-deps nncf ninja pydot safetensors tabulate
	$(BIN)/python .ci/face_model.py
	touch $@

.venv-oldest/installed: setup.cfg pyproject.toml .ci/constraints-oldest.txt
	$(PYTHON_OLDEST) -m venv --clear .venv-oldest
	$(OLDEST)/pip install --quiet --constraint .ci/constraints-oldest.txt --editable '.[keypoints,openvino,protos,dev]'
	$(OLDEST)/python .ci/face_model.py
	touch $@

# Keras on PyTorch, without TensorFlow. On Linux, torch from PyPI includes some gigabytes of CUDA. For the CPU build, set
# PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu.
.venv-torch/installed: .ci/requirements-torch.txt
	$(PYTHON_OLDEST) -m venv --clear .venv-torch
	$(TORCH)/pip install --quiet --requirement .ci/requirements-torch.txt
	touch $@

# TensorFlow, PyTorch, OpenVINO and the other runtimes, to measure them side by side. Python 3.11, because a registry may
# have PyTorch's CPU build for this version only; the note on CUDA above applies here, too. openvino and nncf also work
# without openvino-telemetry, which sends usage data.
.venv-bench/installed: setup.cfg pyproject.toml .ci/constraints.txt .ci/requirements-bench.txt
	$(PYTHON_OLDEST) -m venv --clear .venv-bench
	$(BENCH)/pip install --quiet --constraint .ci/constraints.txt --requirement .ci/requirements-bench.txt \
	    --editable '.[litert,onnx]'
	$(BENCH)/pip uninstall --quiet --yes openvino-telemetry
	touch $@

$(FACES): | .venv/installed
	$(BIN)/python -m farkeras.synthesize --layout=celeba --num_images=6000 --seed=0 --output=$(FACES)

$(MASK_FACES): | .venv/installed
	$(BIN)/python -m farkeras.synthesize --num_images=6000 --seed=1 --output=$(MASK_FACES)

$(HELD_OUT): | .venv/installed
	$(BIN)/python -m farkeras.synthesize --num_images=6000 --seed=0 --style=held_out --part=test --output=$(HELD_OUT)

$(MOBILENET): | .venv/installed
	$(BIN)/python .ci/mobilenet.py $(MOBILENET)

$(ASTRONAUT): | .venv/installed
	mkdir -p $(@D)
	$(BIN)/python -c "import skimage; skimage.io.imsave('$@', skimage.data.astronaut())"

# FAR-AMTN: procedural faces in CelebA's format, training, export, evaluation, and the prediction for a photograph.
demo: $(FACES) $(ASTRONAUT)
	$(BIN)/python -m farkeras.train --flagfile=configs/demo.flags --workdir=runs/demo
	$(BIN)/python export/export_saved_model.py --workdir=runs/demo
	$(BIN)/python -m farkeras.evaluate --workdir=runs/demo
	$(BIN)/python -m farkeras.predict $(ASTRONAUT) --workdir=runs/demo

# FAR-AMTN from ImageNet weights: the same steps, and the evaluation on faces that are drawn in another style.
demo-pretrained: $(FACES) $(HELD_OUT) $(MOBILENET) $(ASTRONAUT)
	$(BIN)/python -m farkeras.train --flagfile=configs/demo_pretrained.flags --workdir=runs/demo_pretrained
	$(BIN)/python -m farkeras.evaluate --workdir=runs/demo_pretrained
	$(BIN)/python -m farkeras.evaluate --workdir=runs/demo_pretrained --data_dir=$(HELD_OUT) --output=runs/demo_pretrained/held_out
	$(BIN)/python -m farkeras.predict $(ASTRONAUT) --workdir=runs/demo_pretrained

# MGMTN: the same steps, with masks from keypoints, and with the regions drawn on the photograph.
demo-mgmtn: $(FACES) $(ASTRONAUT)
	$(BIN)/python -m farkeras.annotate --data_dir=$(FACES)
	$(BIN)/python -m farkeras.train --flagfile=configs/demo_mgmtn.flags --workdir=runs/demo_mgmtn
	$(BIN)/python export/export_saved_model.py --workdir=runs/demo_mgmtn
	$(BIN)/python -m farkeras.evaluate --workdir=runs/demo_mgmtn
	$(BIN)/python -m farkeras.predict $(ASTRONAUT) --workdir=runs/demo_mgmtn --overlay=runs/demo_mgmtn/astronaut.png

# The mask networks that farkeras ships, from procedural faces that the demos do not have.
mask-weights: $(MASK_FACES)
	$(BIN)/python -m farkeras.annotate --data_dir=$(MASK_FACES)
	$(BIN)/python -m farkeras.pretrain_masks --flagfile=configs/masks_procedural.flags \
	    --output=$(SHIPPED_MASKS)/widths_8_16_24_32_64_stride_2.keras
	$(BIN)/python -m farkeras.pretrain_masks --flagfile=configs/masks_procedural.flags --image_size=192,160 --mask_stride=4 \
	    --output=$(SHIPPED_MASKS)/widths_8_16_24_32_64_stride_4.keras

# Two processes, each with whole files, because tests of a file share fixtures. tests/conftest.py runs the longest files first.
PYTEST := -m pytest --numprocesses=2 --dist=loadfile --no-loadscope-reorder tests

test: lint
	$(BIN)/python $(PYTEST)

# The tests with pytest's marker "core" and without "long", on the oldest versions that setup.cfg allows.
test-oldest: .venv-oldest/installed
	$(OLDEST)/python $(PYTEST) -m "core and not long"

# Layers, losses, metrics, optimizers, fit and PyTorch's networks on PyTorch; tests/test_jax.py runs all but the last on JAX.
test-torch: .venv-torch/installed
	KERAS_BACKEND=torch $(TORCH)/python -m pytest tests/layers/test_conformance.py tests/test_keras_objects.py \
	    tests/test_optimizers.py tests/models/test_multi_task.py tests/models/test_fused_batch_norms.py \
	    tests/models/test_torch_weights.py

# Every row of docs/speed.md, side by side with PyTorch and the bare backbones, in about 25 minutes. Then
# `.venv-bench/bin/python benchmarks/speed_page.py` writes the page.
bench: .venv-bench/installed
	$(BENCH)/python benchmarks/bench.py

# Five minutes of load on the local server, with hot swaps and failures.
soak: $(FACES)
	$(BIN)/python serving/soak.py --images=$(FACES)/img_align_celeba

# The documentation site, in build/site. A broken link or a missing page is an error.
docs: install
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build
	@echo "The site is in build/site/index.html."

lint: install
	$(BIN)/ruff check --config .ci/ruff.toml .
	$(BIN)/ruff format --config .ci/ruff.toml --check .
	$(BIN)/lint-imports .ci/imports.toml --no-cache --no-logo
	$(BIN)/mypy --config-file .ci/mypy.ini

format: install
	$(BIN)/ruff check --config .ci/ruff.toml --fix .
	$(BIN)/ruff format --config .ci/ruff.toml .

# The messages of the clients and the local server. grpcio-tools 1.62.3, of the oldest versions, generates them, because its
# code runs on every protobuf from 4.25 to 7. Code from a later version does not run on an older protobuf.
protos: .venv-oldest/installed
	$(OLDEST)/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. farkeras/wire/protos/*.proto

clean:
	rm -rf .venv .venv-oldest .venv-torch .venv-bench build dist *.egg-info .pytest_cache .ruff_cache .cache
