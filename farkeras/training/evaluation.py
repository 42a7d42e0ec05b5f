"""A trained model measured on one split of a data set."""

import tensorflow as tf

from farkeras.data.sources import is_procedural, open_source
from farkeras.errors import FarkerasError
from farkeras.metrics.attribute_metrics import evaluate_attributes
from farkeras.metrics.gallery import write_gallery
from farkeras.models.model_file import ModelMetadata, load_model
from farkeras.training.devices import make_strategy
from farkeras.training.inference import predict_examples


def evaluate_model(
    path: str, split: str, batch_size: int = 64, source: str = "", data_dir: str = "", gallery: str = ""
) -> tuple[dict, ModelMetadata, list[str]]:
    """Predicts a split with the model in a workdir or a `.keras` file and compares with its labels.

    Args:
        path: The workdir or file.
        split: "train", "validation" or "test".
        batch_size: Images at a time, over all GPUs together.
        source: Kind of data set; by default the one that the model was trained on.
        data_dir: Its folder; by default the one that the model was trained on.
        gallery: PNG file to write with the split's first 12 faces and what was predicted; none by default.

    Returns:
        The evaluation with its `run`, as `farkeras.metrics.report.write_report` takes it; the model's metadata; the
        paths of the images that cannot be decoded and were left out.

    Raises:
        FarkerasError: No model, no such data, data without an attribute of the model, or too many undecodable images.
    """
    strategy = make_strategy()
    with strategy.scope():
        model, metadata = load_model(path)
    source = source or metadata.config.get("source", "celeba")
    data_dir = data_dir or metadata.config.get("data_dir", "")
    data = open_source(source, data_dir)
    if missing := [name for name in metadata.grouping.attributes if name not in data.attributes]:
        raise FarkerasError(f"{data_dir} has no labels for {', '.join(missing)}, which the model predicts.")
    examples = data.split(split).select(metadata.grouping.attributes)
    labels, probabilities, undecodable = predict_examples(model, examples, metadata.preprocessing, batch_size, strategy)
    if gallery:
        shown = [p for p in examples.paths if p not in undecodable][:12]
        faces = [metadata.preprocessing.decode(tf.io.read_file(p)).numpy() for p in shown]
        write_gallery(gallery, faces, labels[:12], probabilities[:12], metadata.grouping.attributes)
    run = {
        "model": path,
        "source": source,
        "data_dir": data_dir,
        "split": split,
        "procedural": is_procedural(data_dir),
        "undecodable": len(undecodable),
    }
    return {"run": run, **evaluate_attributes(labels, probabilities, metadata.grouping)}, metadata, undecodable
