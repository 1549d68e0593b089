"""What a run reads encode reads too: image parquet and tables of paths; broken images are left out or all named."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import one_clear_line
from PIL import Image

from hashbench import InputError, load_model
from hashbench.models.code_files import names_path
from hashbench.models.encode import encode_input
from hashbench.models.inputs import InputOptions, open_input
from hashbench.records.store import Store

N = 45


@pytest.fixture(scope="module")
def pets(tmp_path_factory, cli):
    """Return a folder with images, a table of their paths, a parquet file of them, and a model trained on that."""
    folder, rng = tmp_path_factory.mktemp("pets"), np.random.default_rng(0)
    (folder / "img").mkdir()
    names = [f"img/{row:03}.png" for row in rng.permutation(N)]
    labels = ["cat", "dog", "bird"] * (N // 3)
    for name in names:
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).save(folder / name)
    contents = [(folder / name).read_bytes() for name in names]
    lines = [f"{name},{label}\n" for name, label in zip(names, labels, strict=True)]
    (folder / "pets.csv").write_text("path,label\n" + "".join(lines))
    pq.write_table(pa.table({"path": names, "label": labels}), folder / "paths.parquet")
    pq.write_table(pa.table({"image": contents, "label": labels}), folder / "pets.parquet", row_group_size=20)
    pq.write_table(pa.table({"image": contents, "thumb": contents, "label": labels}), folder / "two.parquet")
    pq.write_table(pa.table({"image": contents[:7]}), folder / "unlabelled.parquet")
    asked = ["--dataset", "image_parquet", "--data-dir", folder / "pets.parquet", "--backbone", "pixels"]
    done = cli("run", *asked, "--methods", "itq", "--bits", 8, "--out", folder / "out", "--save-models")
    assert done.returncode == 0, done.stderr
    (record,) = Store(folder / "out")
    model = load_model(Store(folder / "out").model_path(record))
    return folder, names, model, Store(folder / "out").arrays(record.id)


def test_every_form_gives_the_same_codes_in_its_order(pets):
    folder, names, model, _ = pets
    in_folder = encode_input(model, folder / "img")
    codes = dict(zip(in_folder.names, in_folder.codes.tolist(), strict=True))
    expected = [codes[name.removeprefix("img/")] for name in names]
    for form, named in {
        "pets.csv": names,
        "paths.parquet": names,
        "pets.parquet": [f"pets.parquet: row {row}" for row in range(N)],
    }.items():
        encoded = encode_input(model, folder / form)
        assert encoded.codes.tolist() == expected, form
        assert encoded.names == named
    assert encode_input(model, folder / "unlabelled.parquet").codes.tolist() == expected[:7]
    thumbs = encode_input(model, folder / "two.parquet", InputOptions(image_column="thumb"))
    assert thumbs.codes.tolist() == expected
    with pytest.raises(InputError, match=r"columns image, thumb of images: name that .* with --image-column"):
        encode_input(model, folder / "two.parquet")
    with pytest.raises(InputError, match="has no column face"):
        encode_input(model, folder / "two.parquet", InputOptions(image_column="face"))


TABLES = {
    "plain.csv": {},
    "two labels.csv": {"label": ["cat", ""] * 22 + ["?"], "labels": ["7"] * N},
    "parts.csv": {"split": ["train", "val", "foo"] * 15},
    "plain.parquet": {},
    "objects.parquet": {"label": [{"id": 1, "name": "cat"}] * N, "part": ["test", "val", None] * 15},
    "metadata.jsonl": {},
    "mixed.jsonl": {"label": ["cat", 3, None] * 15, "tags": [["a"], {}, 0.5] * 15},
}


@pytest.mark.parametrize("column", ["path", "file_name"])
@pytest.mark.parametrize("form", TABLES)
def test_a_table_needs_no_labels(form, column, pets, tmp_path):
    folder, names, model, _ = pets
    (tmp_path / "img").symlink_to(folder / "img")
    table, cells = tmp_path / form, {column: names, **TABLES[form]}
    lines = [dict(zip(cells, row, strict=True)) for row in zip(*cells.values(), strict=True)]
    if table.suffix == ".parquet":
        pq.write_table(pa.table(cells), table)
    elif table.suffix == ".jsonl":
        table.write_text("".join(json.dumps(line) + "\n" for line in lines))
    else:
        table.write_text("\n".join([",".join(cells), *(",".join(line.values()) for line in lines)]))
    encoded = encode_input(model, table)
    assert encoded.names == names
    assert encoded.codes.tolist() == encode_input(model, folder / "pets.parquet").codes.tolist()


def test_a_row_a_code_in_a_table_that_repeats_images(pets):
    folder, names, model, _ = pets
    (folder / "again.csv").write_text("path,tag\n" + "".join(f"{names[0]},{tag}\n" for tag in "ab"))
    encoded = encode_input(model, folder / "again.csv")
    assert encoded.names == [names[0]] * 2
    assert (encoded.codes[0] == encoded.codes[1]).all()


def test_tables_that_name_no_usable_image(pets, tmp_path, cli):
    _, _, model, _ = pets
    for name, content, *words in (
        ("a.csv", "path\n", "a.csv has no rows"),
        ("a.csv", "path\n../x.png\n", "a.csv row 1", "'..'"),
        ("a.csv", "file_name,image\na.png,a.png\n", "columns file_name and image", "which is that of the paths"),
        ("a.jsonl", '{"label": 1}\n', "a.jsonl has no column path; its columns are label"),
        ("a.jsonl", '{"path": "a.png"}\n{', "a.jsonl line 2 is no JSON object"),
    ):
        (tmp_path / name).write_text(content)
        one_clear_line(cli("encode", model.path, tmp_path / name, "-o", tmp_path / "codes.npy"), *words)


def test_vectors_with_names_of_files_stay_vectors(tmp_path):
    names, vectors = [f"{row}.png" for row in range(3)], [[0.5, 1.0], [1.5, 2.0], [2.5, 3.0]]
    pq.write_table(pa.table({"file_name": names, "embedding": vectors}), tmp_path / "named.parquet")
    lines = [f'{name},"{vector}"\n' for name, vector in zip(names, vectors, strict=True)]
    (tmp_path / "named.csv").write_text("file_name,embedding\n" + "".join(lines))
    (tmp_path / "numbered.csv").write_text("image,x\n0,0.5\n1,1.5\n2,2.5\n")
    for name in ("named.parquet", "named.csv", "numbered.csv"):
        opened = open_input(tmp_path / name)
        assert opened.array is not None, name
        assert opened.array.shape == (3, 2)


def test_the_very_file_of_the_run_gives_its_codes(pets):
    folder, _, model, arrays = pets
    encoded = encode_input(model, folder / "pets.parquet").codes
    kept = np.concatenate([arrays["query_codes"], arrays["database_codes"]])
    assert sorted(map(bytes, kept)) == sorted(map(bytes, encoded))


@pytest.fixture
def broken(pets, tmp_path):
    """Return a folder of ten images, of which three are broken."""
    folder, names, _, _ = pets
    for row, name in enumerate(sorted(names)[:10]):
        content = (folder / name).read_bytes() if row not in (0, 4, 9) else b"<html>gone</html>"
        (tmp_path / "broken").mkdir(exist_ok=True)
        (tmp_path / "broken" / name.removeprefix("img/")).write_bytes(content)
    return tmp_path / "broken"


def test_broken_images_are_left_out_or_all_named(pets, broken, tmp_path, cli):
    folder, _, model, _ = pets
    with pytest.raises(InputError, match=r"3 of 10 images cannot be used: .*000\.png .*004\.png .*009\.png .*--skip-"):
        encode_input(model, broken)
    whole = encode_input(model, folder / "img")
    sound = [row for row in range(10) if row not in (0, 4, 9)]
    done = cli("encode", model.path, broken, "-o", tmp_path / "codes.npy", "--skip-broken")
    assert done.returncode == 0, done.stderr
    assert "3 broken images are left out, first: " in done.stderr
    assert np.load(tmp_path / "codes.npy").tolist() == whole.codes[sound].tolist()
    assert names_path(tmp_path / "codes.npy").read_text().split() == [whole.names[row] for row in sound]
    for distance in ("hamming", "asymmetric"):
        asked = ["search", model.path, folder / "pets.csv", broken, "--distance", distance]
        done = cli(*asked, "--skip-broken", "--csv", tmp_path / f"{distance}.csv", "-k", 1)
        assert done.returncode == 0, done.stderr
        lines = (tmp_path / f"{distance}.csv").read_text().splitlines()[1:]
        assert [line.split(",")[4] for line in lines] == [whole.names[row] for row in sound]
        one_clear_line(cli(*asked), "3 of 10 images cannot be used", "--skip-broken")


def test_only_broken_images_are_no_input(pets, broken):
    _, _, model, _ = pets
    for file in broken.iterdir():
        file.write_bytes(b"gone")
    with pytest.raises(InputError, match="10 of 10 images cannot be used") as caught:
        encode_input(model, broken, InputOptions(skip_broken=True))
    assert "--skip-broken" not in str(caught.value)


def test_batches_are_those_of_the_sound_images(pets, broken, monkeypatch):
    """Broken images leave no gap: what goes through the backbone together is what would without them."""
    _, _, model, _ = pets
    seen, backbone = [], type(model.backbone)
    load = backbone.load

    def counted(self, images):
        seen.append(len(images))
        return load(self, images)

    monkeypatch.setattr(backbone, "batch_size", 3)
    monkeypatch.setattr(backbone, "load", counted)
    assert len(encode_input(model, broken, InputOptions(skip_broken=True)).codes) == 7
    assert seen == [3, 3, 1]
