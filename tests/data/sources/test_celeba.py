"""CelebA's official folder and Kaggle's: what is read, and one sentence for each thing wrong."""

import zipfile

import numpy as np
import pytest
from PIL import Image

from farkeras.attributes import CELEBA_ATTRIBUTES
from farkeras.data.sources.celeba import CelebA
from farkeras.errors import FarkerasError

NAMES = [f"{i:06d}.jpg" for i in range(1, 7)]
LABELS = np.random.default_rng(0).integers(0, 2, (6, 40))
SPLITS = [0, 0, 0, 1, 2, 2]
POINTS = np.arange(60).reshape(6, 10)
POINT_NAMES = (
    "lefteye_x lefteye_y righteye_x righteye_y nose_x nose_y leftmouth_x leftmouth_y rightmouth_x rightmouth_y"
)


def make_images(folder):
    folder.mkdir(parents=True)
    for name in NAMES:
        Image.new("RGB", (178, 218)).save(folder / name)


def text_row(name, values):
    return name + "".join(f"{value:>3}" for value in values)


def attribute_lines(labels=LABELS, columns=CELEBA_ATTRIBUTES):
    rows = [text_row(*row) for row in zip(NAMES, 2 * labels - 1, strict=True)]
    return [str(len(rows)), " ".join(columns) + " ", *rows]


@pytest.fixture
def official(tmp_path):
    make_images(tmp_path / "img_align_celeba")
    write(tmp_path / "list_attr_celeba.txt", attribute_lines())
    rows = [f"{name} {code}" for name, code in zip(NAMES, SPLITS, strict=True)]
    write(tmp_path / "list_eval_partition.txt", rows)
    points = [text_row(*row) for row in zip(NAMES, POINTS, strict=True)]
    write(tmp_path / "list_landmarks_align_celeba.txt", ["6", POINT_NAMES, *points])
    return tmp_path


@pytest.fixture
def kaggle(tmp_path):
    make_images(tmp_path / "img_align_celeba" / "img_align_celeba")
    header = ",".join(["image_id", *CELEBA_ATTRIBUTES])
    rows = [",".join([name, *map(str, values)]) for name, values in zip(NAMES, LABELS, strict=True)]
    write(tmp_path / "list_attr_celeba.csv", [header, *rows])
    rows = [f"{name},{code}" for name, code in zip(NAMES, SPLITS, strict=True)]
    write(tmp_path / "list_eval_partition.csv", ["image_id,partition", *rows])
    return tmp_path


def write(path, lines, newline="\n"):
    path.write_text(newline.join(lines) + newline, newline="")


def edit(path, line, text):
    """Replaces one line, counted from 1; None removes it."""
    lines = path.read_text().splitlines()
    lines[line - 1 : line] = [] if text is None else [text]
    write(path, lines)


def error(folder):
    with pytest.raises(FarkerasError) as raised:
        CelebA(folder)
    message = str(raised.value)
    assert "\n" not in message
    return message


def test_people_are_read_where_the_folder_names_them(official):
    assert CelebA(official).split("train").people is None
    rows = [f"{name} {person}" for name, person in zip(NAMES[:5], (2880, 2937, 2880, 7, 8), strict=True)]
    write(official / "identity_CelebA.txt", ["999999.jpg 3", *rows])  # one image more and one fewer than the lists
    celeba = CelebA(official)
    assert celeba.split("train").people.tolist() == ["2880", "2937", "2880"]
    assert celeba.split("test").people.tolist() == ["8", ""]
    assert celeba.split("train").take(np.array([2])).people.tolist() == ["2880"]
    edit(official / "identity_CelebA.txt", 2, "000001.jpg ann")
    assert "identity_CelebA.txt, line 2: expected whole numbers. Received: 'ann'" in error(official)


def test_official_folder(official):
    celeba = CelebA(official)
    assert celeba.attributes == CELEBA_ATTRIBUTES
    train = celeba.split("train")
    assert [path.rsplit("/", 1)[1] for path in train.paths] == NAMES[:3]
    with Image.open(train.paths[0]) as image:
        assert image.size == (178, 218)
    np.testing.assert_array_equal(train.labels, LABELS[:3])
    assert train.labels.dtype == np.int8
    np.testing.assert_array_equal(train.landmarks, POINTS[:3].reshape(3, 5, 2))
    assert train.landmarks.dtype == np.float32
    np.testing.assert_array_equal(celeba.split("validation").labels, LABELS[3:4])
    np.testing.assert_array_equal(celeba.split("test").labels, LABELS[4:])


def test_kaggle_folder_with_zeros_and_without_landmarks(kaggle):
    test = CelebA(kaggle).split("test")
    np.testing.assert_array_equal(test.labels, LABELS[4:])
    assert test.landmarks is None
    with Image.open(test.paths[0]) as image:
        assert image.size == (178, 218)


def test_columns_are_matched_by_name(official):
    order = np.random.default_rng(1).permutation(40)
    columns = [CELEBA_ATTRIBUTES[i] for i in order]
    write(official / "list_attr_celeba.txt", attribute_lines(LABELS[:, order], columns))
    np.testing.assert_array_equal(CelebA(official).split("train").labels, LABELS[:3])


def test_rows_are_matched_by_image_name(official):
    path = official / "list_eval_partition.txt"
    write(path, path.read_text().splitlines()[::-1])
    np.testing.assert_array_equal(CelebA(official).split("test").labels, LABELS[4:])


def test_windows_line_ends_tabs_and_blank_lines_at_the_end(official):
    lines = [line.replace("  ", "\t") for line in attribute_lines()]
    write(official / "list_attr_celeba.txt", [*lines, "", " "], newline="\r\n")
    np.testing.assert_array_equal(CelebA(official).split("train").labels, LABELS[:3])


@pytest.mark.parametrize("folder", ["official", "kaggle"])
@pytest.mark.parametrize(
    "encode",
    [
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.replace(" ", "   ").encode(),
        lambda text: text.replace("\n", "  \n").encode(),
        lambda text: text.replace("\n", "\r\n").encode("utf-8-sig"),
        lambda text: text.encode("utf-16"),
    ],
    ids=["CRLF", "many blanks", "blanks at the ends", "byte order mark", "UTF-16"],
)
def test_all_lists_as_editors_leave_them(folder, encode, request):
    folder = request.getfixturevalue(folder)
    for path in folder.glob("list_*"):
        path.write_bytes(encode(path.read_text()))
    celeba = CelebA(folder)
    np.testing.assert_array_equal(celeba.split("test").labels, LABELS[4:])
    assert [path.rsplit("/", 1)[1] for path in celeba.split("test").paths] == NAMES[4:]


def test_sub_folders_of_the_official_download(official):
    for name, sub in {"list_attr_celeba.txt": "Anno", "list_eval_partition.txt": "Eval"}.items():
        (official / sub).mkdir()
        (official / name).rename(official / sub / name)
    assert len(CelebA(official).split("train")) == 3


def test_images_out_of_the_zip(official):
    images = official / "img_align_celeba"
    images.rename(official / "kept")
    with zipfile.ZipFile(official / "img_align_celeba.zip", "w") as archive:
        for name in NAMES:
            archive.write(official / "kept" / name, f"img_align_celeba/{name}")
    calls = []
    celeba = CelebA(official, progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (6, 6)
    assert celeba.split("train").paths[0] == str(images / NAMES[0])
    assert sorted(path.name for path in images.iterdir()) == NAMES
    CelebA(official, progress=lambda *_: pytest.fail("extracted twice"))


def test_html_page_in_place_of_the_zip(official):
    (official / "img_align_celeba").rename(official / "elsewhere")
    archive = official / "img_align_celeba.zip"
    archive.write_text("<!DOCTYPE html><title>Google Drive - Quota exceeded</title>")
    assert f"{archive} is an HTML page, not an archive: the download was refused" in error(official)
    assert not (official / "img_align_celeba").exists()


@pytest.mark.parametrize("name", ["list_attr_celeba.txt", "list_eval_partition.txt", "img_align_celeba.zip"])
def test_folder_in_place_of_a_file(official, name):
    (official / "img_align_celeba").rename(official / "elsewhere")
    (official / name).unlink(missing_ok=True)
    (official / name).mkdir()
    assert f"Cannot read {official / name} (Is a directory)" in error(official)


def test_file_in_place_of_the_image_folder(official):
    (official / "img_align_celeba").rename(official / "elsewhere")
    (official / "img_align_celeba").touch()
    assert "img_align_celeba (Not a directory); expected a folder with images" in error(official)


def test_zip_with_a_name_that_leaves_the_folder(official):
    (official / "img_align_celeba").rename(official / "elsewhere")
    with zipfile.ZipFile(official / "img_align_celeba.zip", "w") as archive:
        for name in (*NAMES, "../../evil.jpg"):
            archive.writestr(f"img_align_celeba/{name}", "pixels")
    message = error(official)
    assert "img_align_celeba.zip holds 'img_align_celeba/../../evil.jpg', which would be written outside" in message
    assert not (official / "img_align_celeba").exists()
    assert not (official.parent / "evil.jpg").exists()


def test_zip_that_lacks_a_listed_image(official):
    (official / "img_align_celeba").rename(official / "elsewhere")
    with zipfile.ZipFile(official / "img_align_celeba.zip", "w") as archive:
        for name in NAMES[:-1]:
            archive.writestr(f"img_align_celeba/{name}", "pixels")
    assert "lacks 1 of the 6 listed images; the first is 000006.jpg" in error(official)


def test_list_with_a_name_that_leaves_the_folder(official):
    """Even where there is such a file."""
    for name in ("list_attr_celeba.txt", "list_eval_partition.txt", "list_landmarks_align_celeba.txt"):
        path = official / name
        path.write_text(path.read_text().replace("000002.jpg", "../secret.jpg"))
    (official / "secret.jpg").touch()
    assert "lacks 1 of the 6 listed images; the first is ../secret.jpg" in error(official)


def test_split_that_does_not_exist_or_is_empty(official):
    with pytest.raises(FarkerasError, match="no split 'val'; expected train, validation, test"):
        CelebA(official).split("val")
    edit(official / "list_eval_partition.txt", 4, f"{NAMES[3]} 0")
    celeba = CelebA(official)
    assert len(celeba.split("train")) == 4
    with pytest.raises(FarkerasError, match=r"'validation' of .* is empty"):
        celeba.split("validation")


def test_no_folder(tmp_path):
    message = error(tmp_path / "nowhere")
    assert "does not exist" in message
    assert "mmlab.ie.cuhk.edu.hk" in message


@pytest.mark.parametrize("name", ["list_attr_celeba", "list_eval_partition"])
def test_missing_list(official, name):
    (official / f"{name}.txt").unlink()
    message = error(official)
    assert f"has no {name}.txt (or {name}.csv)" in message
    assert "mmlab.ie.cuhk.edu.hk" in message
    assert "non-commercial" in message


def test_no_images_at_all(official):
    (official / "img_align_celeba").rename(official / "elsewhere")
    assert "neither img_align_celeba/ nor img_align_celeba.zip" in error(official)


def test_images_that_are_listed_but_not_there(official):
    for name in NAMES[2:4]:
        (official / "img_align_celeba" / name).unlink()
    assert "lacks 2 of the 6 listed images; the first is 000003.jpg" in error(official)


@pytest.mark.parametrize(
    ("line", "text", "expected"),
    [
        (8, None, "line 1 says 6 images, but the file has 5 rows"),
        (1, "5", "line 1 says 5 images, but the file has 6 rows. Download it again, or correct line 1"),
        (1, "lots", "line 1: expected the number of images. Received: 'lots'"),
        (2, " ".join(["Beard", *CELEBA_ATTRIBUTES[1:]]), "line 2: unknown column 'Beard'"),
        (2, " ".join(CELEBA_ATTRIBUTES[2:]), "'5_o_Clock_Shadow' (and 1 more) is missing"),
        (2, " ".join(CELEBA_ATTRIBUTES * 2), "line 2: column '5_o_Clock_Shadow' appears twice"),
        (5, text_row(NAMES[2], [1] * 39 + [2]), "(000003.jpg): expected 1 or -1 in every column"),
        (5, text_row(NAMES[2], [1] * 39 + [0]), "Received: 0 in column 40"),
        (5, text_row(NAMES[2], [1] * 39), "line 5: expected an image name and 40 value(s). Received: 39"),
        (8, text_row(NAMES[5], [1] * 3), "line 8 (the last, so the file may be truncated): expected an image name"),
        (5, NAMES[2], "line 5: expected an image name and 40 value(s). Received: 0"),
        (5, "", "line 5: expected an image name and 40 value(s). Received: 0"),
        (5, text_row(NAMES[2], [1] * 39 + ["x"]), "line 5: expected whole numbers. Received: 'x'"),
        (5, text_row(NAMES[2], [1] * 39 + [" 0.9"]), "line 5: expected whole numbers. Received: '0.9'"),
        (5, text_row(NAMES[1], [1] * 40), "line 5: 000002.jpg is listed a second time"),
        (5, text_row("7.jpg", [1] * 40), "list_eval_partition.txt lists 000003.jpg, which"),
    ],
)
def test_broken_attribute_file(official, line, text, expected):
    path = official / "list_attr_celeba.txt"
    edit(path, line, text)
    message = error(official)
    assert expected in message
    assert str(path) in message


@pytest.mark.parametrize(
    ("line", "text", "expected"),
    [
        (2, "000002.jpg 3", "line 2 (000002.jpg): expected 0 or 1 or 2 in every column. Received: 3"),
        (2, None, "list_attr_celeba.txt lists 000002.jpg, which"),
        (2, "000002.jpg", "line 2: expected an image name and 1 value(s). Received: 0"),
    ],
)
def test_broken_partition_file(official, line, text, expected):
    edit(official / "list_eval_partition.txt", line, text)
    message = error(official)
    assert expected in message
    assert "list_eval_partition.txt" in message


@pytest.mark.parametrize(
    ("line", "text", "expected"),
    [
        (1, "7", "line 1 says 7 images, but the file has 6 rows"),
        (2, POINT_NAMES.replace("nose_x ", ""), "line 2: column 'nose_x' is missing: expected 10 columns. Received: 9"),
        (4, text_row(NAMES[1], [1] * 9), "line 4: expected an image name and 10 value(s). Received: 9"),
    ],
)
def test_broken_landmark_file(official, line, text, expected):
    edit(official / "list_landmarks_align_celeba.txt", line, text)
    message = error(official)
    assert expected in message
    assert "list_landmarks_align_celeba.txt" in message


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"\n<!DOCTYPE html><html>Quota exceeded</html>", "is an HTML page, not a list"),
        (b"", "is empty"),
    ],
)
def test_something_else_in_place_of_a_list(official, content, expected):
    (official / "list_attr_celeba.txt").write_bytes(content)
    assert expected in error(official)


def test_list_without_rows(official):
    write(official / "list_attr_celeba.txt", attribute_lines()[:2])
    assert "lists no image" in error(official)


def test_csv_value_and_column(kaggle):
    edit(kaggle / "list_attr_celeba.csv", 3, ",".join([NAMES[1], *["1"] * 39, "2"]))
    assert "line 3 (000002.jpg): expected 1 or -1 or 0 in every column. Received: 2" in error(kaggle)
    edit(kaggle / "list_attr_celeba.csv", 1, "image_id,Smiling")
    assert "line 1: column '5_o_Clock_Shadow' (and 38 more) is missing" in error(kaggle)


def test_csv_probabilities_are_no_labels(kaggle):
    edit(kaggle / "list_attr_celeba.csv", 3, ",".join([NAMES[1], *["1"] * 39, "0.9"]))
    assert "line 3: expected whole numbers. Received: '0.9'" in error(kaggle)


def test_csv_with_semicolons(kaggle):
    path = kaggle / "list_attr_celeba.csv"
    path.write_text(path.read_text().replace(",", ";"))
    assert "line 1: column '5_o_Clock_Shadow' (and 39 more) is missing: expected 40 columns. Received: 0" in error(
        kaggle
    )
