"""The share of one worker in the training batches of a run on several machines."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf


class Share(NamedTuple):
    """A worker's share of each global batch: the rows of part `worker` of as many equal parts as workers.

    Together the workers show the batches of one machine, in the same order. On one machine an undecodable image is left
    out and the next image takes its place; a worker that decodes only its share cannot know what the others leave out.
    So the undecodable images are found before the training, and every worker leaves them out of the whole plan.

    Attributes:
        worker: Number of the worker.
        workers: Number of workers.
        replicas: Number of replicas of all workers; the share consists of batches of one replica.
        undecodable: `int64 [n]`, the undecodable examples.
    """

    worker: int
    workers: int
    replicas: int
    undecodable: np.ndarray

    def of(self, plan: tf.data.Dataset, batch_size: int) -> tf.data.Dataset:
        """Returns the worker's elements of a plan.

        Args:
            plan: The plan of all examples, dicts with the example's `index`; see `farkeras.data.pipeline.planned`.
            batch_size: Global batch size, a multiple of `workers`.
        """
        if len(self.undecodable):
            undecodable = tf.constant(self.undecodable, tf.int64)
            plan = plan.filter(lambda element: tf.reduce_all(element["index"] != undecodable))
        rows = batch_size // self.workers
        plan = plan.enumerate().filter(lambda row, _: row % batch_size // rows == self.worker)
        return plan.map(lambda _, element: element)
