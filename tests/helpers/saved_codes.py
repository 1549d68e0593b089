"""Codes and labels in the layouts in which public repositories save theirs; all synthetic, written anew here."""

import numpy as np


class Problem:
    """Codes of -1 and 1, float32, and marks of labels; some queries have nothing relevant, or nothing near."""

    def __init__(self, n_bits=32, n_query=24, n_database=300, several=False, seed=0):
        rng = np.random.default_rng(seed)
        centres = rng.standard_normal((10, n_bits))
        self.query_classes, self.database_classes = rng.integers(0, 8, n_query), rng.integers(0, 8, n_database)
        self.query_classes[:2], self.query_classes[2:6] = 9, 8
        self.database_classes[:3] = 8
        self.query, self.database = (
            np.where(centres[classes] + 1.5 * rng.standard_normal((len(classes), n_bits)) > 0, 1, -1).astype(np.float32)
            for classes in (self.query_classes, self.database_classes)
        )
        self.query_labels, self.database_labels = (
            np.eye(10, dtype=np.float32)[classes] for classes in (self.query_classes, self.database_classes)
        )
        if several:
            more = rng.integers(0, 8, n_database)
            self.database_labels[np.arange(n_database), more] = 1
            self.query_labels[6:, 0] = 1
        self.n_bits = n_bits


def deephash_pytorch(folder, problem):
    """Save as swuxyj/DeepHash-pytorch does: the database is called trn, beside the model's weights."""
    import torch

    for name, array in (
        ("tst_label", problem.query_labels),
        ("tst_binary", problem.query),
        ("trn_binary", problem.database),
        ("trn_label", problem.database_labels),
    ):
        np.save(folder / f"{name}.npy", array)
    torch.save({"features.weight": torch.ones(3, 4)}, folder / "model.pt")
    return [folder]


def hashnet(folder, problem):
    """Save as thuml/HashNet's pytorch does: after its mAP, which has turned the queries' 0 marks into -1."""
    for name, array in (
        ("database_code", problem.database),
        ("database_labels", problem.database_labels),
        ("test_code", problem.query),
        ("test_labels", np.where(problem.query_labels == 0, -1, problem.query_labels)),
    ):
        np.save(folder / f"iter_10000_{name}.npy", array)
    return [folder]


def hashnet_caffe(folder, problem):
    """Save as thuml/HashNet's caffe does: queries are called validation, labels are whole numbers."""
    for name, array in (
        ("database_code", problem.database.astype(np.float64)),
        ("database_label", problem.database_labels.astype(np.int64)),
        ("validation_code", problem.query.astype(np.float64)),
        ("validation_label", problem.query_labels.astype(np.int64)),
    ):
        np.save(folder / f"{name}.npy", array)
    return [folder]


def csq(folder, problem):
    """Save as yuanli2333/Hadamard-Matrix-for-hashing does: the network's real outputs."""
    rng = np.random.default_rng(3)
    for name, array in (("database_hash", problem.database), ("test_hash", problem.query)):
        np.save(folder / f"coco_32_{name}.npy", array * rng.uniform(0.1, 1, array.shape).astype(np.float32))
    np.save(folder / "coco_32_database_label.npy", problem.database_labels)
    np.save(folder / "coco_32_test_label.npy", problem.query_labels)
    return [folder]


def dsdh(folder, problem):
    """Save as TreezzZ/DSDH_PyTorch does: one checkpoint with codes, marks and the model's weights."""
    import torch

    torch.save(
        {
            "qB": torch.from_numpy(problem.query),
            "qL": torch.from_numpy(problem.query_labels),
            "rB": torch.from_numpy(problem.database),
            "rL": torch.from_numpy(problem.database_labels),
            "model": {"hash_layer.base.weight": torch.ones(2, 3)},
            "map": torch.tensor(0.5),
        },
        folder / "cifar-10_model_alexnet_codelength_32.pt",
    )
    return [folder / "cifar-10_model_alexnet_codelength_32.pt"]


def orthohash(folder, problem):
    """Save as kamwoh/orthohash does: outputs of the network, in dictionaries of a dictionary."""
    import torch

    rng = np.random.default_rng(4)

    def part(codes, labels):
        outputs = codes * rng.uniform(0.1, 3, codes.shape).astype(np.float32)
        return {"codes": torch.from_numpy(outputs), "labels": torch.from_numpy(labels)}

    torch.save(
        {
            "test": part(problem.query, problem.query_labels),
            "db": part(problem.database, problem.database_labels),
        },
        folder / "outputs.pth",
    )
    return [folder / "outputs.pth"]


def cvprw15(folder, problem):
    """Save as kevinlin311tw/caffe-cvprw15 does: logical in MATLAB 7.3, items as columns; classes one a line."""
    from_matlab_73(folder / "binary-test.mat", "binary_test", problem.query.T > 0)
    from_matlab_73(folder / "binary-train.mat", "binary_train", problem.database.T > 0)
    from_matlab_73(folder / "feat-test.mat", "feat_test", problem.query.T)
    lists = folder / "dataset"
    lists.mkdir()
    (lists / "test-label.txt").write_text("".join(f"{one}\n" for one in problem.query_classes))
    (lists / "train-label.txt").write_text("".join(f"{one}\n" for one in problem.database_classes))
    return [folder, lists]


def from_matlab_73(path, name, array):
    """Write one matrix as MATLAB does with -v7.3: HDF5 behind a header, axes turned round, logical as uint8."""
    import h5py

    with h5py.File(path, "w", userblock_size=512) as file:
        stored = file.create_dataset(
            name, data=np.ascontiguousarray(array.T.astype(np.uint8 if array.dtype == bool else float))
        )
        stored.attrs["MATLAB_class"] = np.bytes_("logical" if array.dtype == bool else "double")
        file.create_group("#refs#")
    with path.open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")


def ddh(folder, problem):
    """Save as htconquer/ddh (after DPSH) does: logical codes beside the net, classes in the file of the data."""
    from scipy.io import savemat

    net = {"layers": np.zeros((2, 2)), "meta": {"size": np.ones(3)}}
    codes = {"B_dataset": problem.database > 0, "B_test": problem.query > 0, "map": 0.5, "net": net}
    savemat(folder / "DPSH_CIFAR_10_32_bits.mat", codes)
    data = {
        "test_data": np.zeros((2, 2, 3, 5), np.uint8),
        "test_L": problem.query_classes[:, None].astype(float),
        "data_set": np.zeros((2, 2, 3, 5), np.uint8),
        "dataset_L": problem.database_classes[:, None].astype(float),
        "train_L": problem.database_classes[:7, None].astype(float),
    }
    savemat(folder / "cifar-10.mat", data)
    return [folder / "DPSH_CIFAR_10_32_bits.mat", folder / "cifar-10.mat"]


def adsh_matlab(folder, problem):
    """Save as jiangqy/ADSH-AAAI2018's MATLAB does: a struct with codes packed from the lowest bit up."""
    from scipy.io import savemat

    def compact(codes):
        return np.packbits(codes > 0, axis=1, bitorder="little")

    result = {"topkmap": 0.5, "qB": compact(problem.query), "rB": compact(problem.database)}
    savemat(folder / "ADSH_NUS-WIDE_32_1.mat", {"result": result})
    np.save(folder / "query_labels.npy", problem.query_labels)
    np.save(folder / "database_labels.npy", problem.database_labels)
    return [folder / "ADSH_NUS-WIDE_32_1.mat", folder / "query_labels.npy", folder / "database_labels.npy"]


def cross_modal(folder, problem):
    """Save as several cross-modal repositories do (BSTH, GCNH): int8 codes, marks, and a matrix of who is relevant."""
    from scipy.io import savemat

    arrays = {
        "retrieval_B": problem.database.astype(np.int8),
        "val_B": problem.query.astype(np.int8),
        "cateTrainTest": (problem.database_labels @ problem.query_labels.T > 0).astype(np.int8),
        "L_db": problem.database_labels,
        "L_te": problem.query_labels,
    }
    savemat(folder / "BSTH_32_flickr_bits.mat", arrays)
    return [folder / "BSTH_32_flickr_bits.mat"]


LAYOUTS = (deephash_pytorch, hashnet, hashnet_caffe, csq, dsdh, orthohash, cvprw15, ddh, adsh_matlab, cross_modal)
