"""The searches that peers.py compares with Quarry.

A maker takes (data, threads, scratch): data is [rows, dim] f32 at unit length, scratch a directory for files that the
system wants. It returns run(queries), which takes [n, dim] f32 and returns n lists of the ids (rows) of the K largest
inner products. Makers import what they need: an ImportError says that the system is absent. All vectors have unit
length, so cosine has the order of the inner product.
"""
import collections

K = 10
BASE = "FAISS IndexFlatIP"
# What pip installs. indexdoc-vector names one version of numpy; without dependencies it takes that of the others.
PACKAGES = (
    ("numpy", "numpy"),
    ("faiss-cpu", "faiss"),
    ("usearch", "usearch"),
    ("hnswlib", "hnswlib"),
    ("nseekfs", "nseekfs"),
    ("numpy-vector-store", "numpy_vector_store"),
    ("indexdoc-vector", "indexdoc_vector"),
)
WITHOUT_DEPENDENCIES = ("indexdoc-vector",)
SOURCE_ONLY = ("hnswlib",)  # needs a C++ compiler and the headers of Python
NOT_PACKAGED = {"hnswlib-mmap": "the Python package index has no package of that name"}

# `batched`: one call takes all queries; else they are searched for one after another.
System = collections.namedtuple("System", "make batched", defaults=(True,))


def faiss_index(make_index, blas_threshold=None):
    """`blas_threshold`: the number of queries from which on BLAS is used; None is the library's default."""

    def make(data, threads, scratch):
        import faiss

        faiss.omp_set_num_threads(threads)
        library_default = faiss.cvar.distance_compute_blas_threshold
        index = make_index(faiss, data.shape[1])
        index.train(data)
        index.add(data)

        def run(queries):
            # Global to FAISS, so set for each call and put back.
            if blas_threshold is not None:
                faiss.cvar.distance_compute_blas_threshold = blas_threshold
            ids = index.search(queries, K)[1]
            faiss.cvar.distance_compute_blas_threshold = library_default
            return ids

        return run

    return make


def flat_ip(faiss, dim):
    return faiss.IndexFlatIP(dim)


def flat_l2(faiss, dim):
    return faiss.IndexFlatL2(dim)


def quantised(kind):
    def make_index(faiss, dim):
        return faiss.IndexScalarQuantizer(dim, getattr(faiss.ScalarQuantizer, kind), faiss.METRIC_INNER_PRODUCT)

    return make_index


def make_usearch(data, threads, scratch):
    from usearch.index import MetricKind, search

    def run(queries):
        found = search(data, queries, K, MetricKind.IP, exact=True, threads=threads)
        return found.keys.reshape(len(queries), -1)

    return run


def make_numpy(data, threads, scratch):
    import numpy as np

    def run(queries):
        scores = queries @ data.T
        best = np.argpartition(scores, -K, axis=1)[:, -K:]
        order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1)
        return np.take_along_axis(best, order, axis=1)

    return run


def make_hnswlib(data, threads, scratch):
    import hnswlib
    import numpy as np

    index = hnswlib.BFIndex(space="ip", dim=data.shape[1])
    index.init_index(max_elements=len(data))
    index.add_items(data, np.arange(len(data)))
    return lambda queries: index.knn_query(queries, k=K, num_threads=threads)[0]


def nseekfs_by(metric):
    """Its exact searches that return arrays, the fastest it has. Threads come from NSEEK_THREADS."""

    def make(data, threads, scratch):
        from nseekfs.highlevel import from_embeddings

        index = from_embeddings(data, metric=metric, normalized=True, output_dir=str(scratch), base_name=metric)

        def run(queries):
            if len(queries) == 1:
                return [index.query_simple_arrays(queries[0], K)["indices"]]
            return index.query_batch_arrays(queries, K)["indices"]

        return run

    return make


def make_numpy_vector_store(data, threads, scratch):
    from numpy_vector_store import VectorStore

    store = VectorStore(data.shape[1], normalize=True)
    store.add(data, [None] * len(data))
    return lambda queries: [[hit.index for hit in store.dot_search(query, top_k=K)] for query in queries]


def make_indexdoc_vector(data, threads, scratch):
    from indexdoc_vector.mem_map_vector import MemMapVector

    store = MemMapVector(str(scratch / "indexdoc.vec"), dimension=data.shape[1])
    store.add_vectors(data)
    # It leaves out scores under 0.3 unless told otherwise.
    return lambda queries: [[row for row, _ in store.cosine_search(query, K, min_score=-1.0)] for query in queries]


SYSTEMS = {
    BASE: System(faiss_index(flat_ip)),
    "FAISS IndexFlatIP, BLAS always": System(faiss_index(flat_ip, 1)),
    "FAISS IndexFlatIP, BLAS never": System(faiss_index(flat_ip, 1 << 30)),
    "FAISS IndexFlatL2": System(faiss_index(flat_l2)),
    "FAISS SQ fp16": System(faiss_index(quantised("QT_fp16"))),
    "FAISS SQ 8bit": System(faiss_index(quantised("QT_8bit"))),
    "USearch exact": System(make_usearch),
    "numpy": System(make_numpy),
    "hnswlib brute force": System(make_hnswlib),
    "nseekfs dot": System(nseekfs_by("dot")),
    "nseekfs cosine": System(nseekfs_by("cosine")),
    "numpy-vector-store": System(make_numpy_vector_store, batched=False),
    "indexdoc-vector": System(make_indexdoc_vector, batched=False),
}
