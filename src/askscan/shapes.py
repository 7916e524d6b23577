"""One legend of dimension names for every shape annotation of the package.

| letter | counts |
|---|---|
| b | scenes of a batch |
| n | input points of a scene |
| m | centres of a set abstraction, or query points |
| s | seeds (points of the last feature propagation) |
| k | proposals; in `ops` also neighbours of a centre |
| o | ground-truth object slots (padded; a mask says which are real) |
| q | questions or sentences of a scene |
| t | text tokens |
| d, c | channels |
| a | answers of the vocabulary |
| v, f | vertices and faces of a mesh |

Layouts are batch first and channels last everywhere. Positions are metres, z up, axis-aligned with the walls, unless
a name says otherwise. Boxes are (centre, size); angles are radians.
"""

NUM_CLASSES = 18
"""Object classes of ScanRefer and ScanQA on ScanNet: the 17 named ones and `others`."""

MAX_OBJECTS = 128
"""Ground-truth object slots per scene (the limit of ScanRefer and ScanQA)."""

CLASS_NAMES = (
    "cabinet",
    "bed",
    "chair",
    "sofa",
    "table",
    "door",
    "window",
    "bookshelf",
    "picture",
    "counter",
    "desk",
    "curtain",
    "refrigerator",
    "shower curtain",
    "toilet",
    "sink",
    "bathtub",
    "others",
)

MEAN_SIZES = (
    (0.77504910, 0.94897728, 0.96542059),
    (1.86903267, 1.83214712, 1.19222992),
    (0.61214778, 0.61928731, 0.70480848),
    (1.44113898, 1.60452036, 0.83652295),
    (1.04780726, 1.20164188, 0.63457007),
    (0.56101232, 0.60847217, 1.71950401),
    (1.07894895, 0.82033996, 1.16921199),
    (0.84171092, 1.35047945, 1.68989250),
    (0.23051737, 0.47640499, 0.56569256),
    (1.45484899, 1.97119895, 0.28643280),
    (1.07858031, 1.53705113, 0.86501906),
    (1.43119644, 0.76923111, 1.64982673),
    (0.62969194, 0.70871287, 1.31433587),
    (0.43925034, 0.41569594, 1.70002748),
    (0.58504462, 0.57878438, 0.72029611),
    (0.51158693, 0.50960673, 0.31287360),
    (1.17320759, 1.05987140, 0.51812528),
    (0.43294385, 0.51933507, 0.48437456),
)
"""Mean (dx, dy, dz) in metres of each class's boxes, in the order of CLASS_NAMES (ScanRefer's constants)."""
