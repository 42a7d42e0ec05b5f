"""What every model of this package has in common: named attributes in groups, one dict of outputs."""

import keras
from keras import layers, ops

from farkeras.attributes import CELEBA_ATTRIBUTES, Grouping, load_grouping
from farkeras.models.backbones import build_backbone


class FaceAttributeModel(keras.Model):
    """A functional Keras model from an image to one logit per attribute.

    Input: `(batch, height, width, 3)` float, RGB in 0..255. Output: a dict, of which `"logits"` is
    `(batch, attributes)` float in the order of `model.grouping.attributes`.

    Subclasses compute the logits in `build_outputs` and name the constructor's further arguments in `get_config`.
    """

    def __init__(self, attributes, backbone, image_size, backbone_alpha, backbone_weights, name, **options):
        self_grouping = as_grouping(attributes)
        if isinstance(backbone, str):
            network = build_backbone(backbone, tuple(image_size), backbone_alpha, backbone_weights)
        else:
            network = backbone
            image_size = network.input_shape[1:3]
        outputs = self.build_outputs(network, self_grouping, **options)
        super().__init__(inputs=network.inputs[0], outputs=outputs, name=name)
        self.grouping = self_grouping
        self.image_size = tuple(image_size)
        self._config = {
            "backbone": backbone,
            "image_size": list(self.image_size),
            "backbone_alpha": backbone_alpha,
            **options,
        }

    @property
    def heads(self) -> dict[str, tuple[str, ...]]:
        """Name of each fully connected layer at the end -> the attributes of its outputs."""
        return {head_name(group): members for group, members in self.grouping.groups.items()}

    @staticmethod
    def build_outputs(backbone: keras.Model, grouping: Grouping, **options) -> dict:
        raise NotImplementedError

    def get_config(self):
        config = dict(self._config)
        if isinstance(config["backbone"], keras.Model):
            config["backbone"] = keras.saving.serialize_keras_object(config["backbone"])
        grouping = {
            # A list of pairs: JSON objects need not keep their order.
            "groups": [[name, list(members)] for name, members in self.grouping.groups.items()],
            "attributes": list(self.grouping.attributes),
        }
        return {"attributes": grouping, **config, "name": self.name}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        grouping = config.pop("attributes")
        if isinstance(config["backbone"], dict):
            config["backbone"] = keras.saving.deserialize_keras_object(config["backbone"], custom_objects)
        return cls(Grouping(dict(grouping["groups"]), tuple(grouping["attributes"])), **config)


def as_grouping(attributes) -> Grouping:
    """A `Grouping`, the name or file of one over the 40 CelebA attributes, or a list of attributes (one group)."""
    if isinstance(attributes, Grouping):
        return attributes
    if isinstance(attributes, str):
        return load_grouping(attributes, CELEBA_ATTRIBUTES)
    return Grouping({"all": tuple(attributes)}, tuple(attributes))


def group_heads(features, grouping: Grouping, dropout: float):
    """K independent fully connected layers: `(batch, K, C)` group features -> `(batch, attributes)` logits."""
    logits = []
    for g, (group, members) in enumerate(grouping.groups.items()):
        head = layers.Dense(len(members), dtype=head_dtype(), name=head_name(group))
        logits.append(head(layers.Dropout(dropout, name=f"dropout_{layer_name(group)}")(features[:, g])))
    # From the groups' order into the attributes' order.
    listed = [member for members in grouping.groups.values() for member in members]
    order = [listed.index(attribute) for attribute in grouping.attributes]
    return ops.take(ops.concatenate(logits, axis=-1), order, axis=-1)


def head_dtype() -> str:
    """Logits are computed in the weights' precision: float32 under mixed precision, where the rest is bfloat16."""
    return keras.config.dtype_policy().variable_dtype


def head_name(group: str) -> str:
    """The name of a group's fully connected layer."""
    return f"head_{layer_name(group)}"


def layer_name(group: str) -> str:
    """A group's name with what Keras and TensorFlow refuse in names replaced."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "_-.") else "_" for c in group)
