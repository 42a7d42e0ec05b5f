"""The contradictions of an evaluation, as sentences and rows of a table for its pages and the console."""

CONTRADICTION_COLUMNS = ("Contradiction", "Images, answers", "Images, labels")


def consistency_notes(evaluation: dict) -> list[str]:
    """Returns sentences about contradictions; an empty list if the evaluation has looked for none.

    Args:
        evaluation: An evaluation, whose `consistency` is a result of `evaluate_consistency`.
    """
    consistency = evaluation.get("consistency", {})
    if not consistency.get("contradictions"):
        return []
    images = consistency["images"]
    notes = [
        f"Of {evaluation['num_images']:,} images, {images['answers']:,} have answers that contradict each other, and "
        f"{images['labels']:,} have such labels."
    ]
    if changed := consistency["changed_answers"]:
        before, after = consistency["as_answered"], consistency["consistent"]
        effects = [
            f"the {name} from {100 * before[key]:.2f} to {100 * after[key]:.2f} %"
            for name, key in (("mean accuracy", "mean_accuracy"), ("balanced accuracy", "mean_balanced_accuracy"))
            if before[key] is not None
        ]
        effect = f", which takes {' and '.join(effects)}" if effects else ""
        number = "1 answer" if changed == 1 else f"{changed:,} answers"
        notes.append(f"The most probable answers without a contradiction differ in {number}{effect}.")
    return notes


def contradiction_rows(evaluation: dict) -> list[tuple[str, str, str]]:
    """Returns (combination, number of images with it in the answers, in the labels), the most frequent first."""
    found = evaluation.get("consistency", {}).get("contradictions", {})
    rows = [(name, counts) for name, counts in found.items() if any(counts.values())]
    rows.sort(key=lambda row: (-row[1]["answers"], -row[1]["labels"]))
    return [(name, f"{counts['answers']:,}", f"{counts['labels']:,}") for name, counts in rows]
