"""Does a scan get the same answers however its file is turned?

    python bench/turned_rooms.py [NUM_ROOMS]

Each generated room is asked as it is, and again turned by a random yaw, in millimetres and with y up. Printed: the
share of questions whose top answer is the same, letter by letter and with the two spellings of gray as one, and how far
boxes of same answers lie apart in the first file's axes.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

import askscan
from askscan.data.ply import write_ply
from askscan.records import Mesh
from askscan.rooms.layout import plan_room
from askscan.rooms.questions import ask
from askscan.rooms.scanner import scan_room

FIRST_SEED = 400_000
QUESTIONS_PER_ROOM = 5
Z_UP_TO_Y_UP = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]], np.float64)


def main(num_rooms: int) -> None:
    model = askscan.load()
    same, spelled_alike, distances = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(FIRST_SEED, FIRST_SEED + num_rooms):
            rng = np.random.default_rng(seed)
            scanned = scan_room(plan_room(seed))
            questions = [q.text for q in ask(scanned.room, rng)]
            chosen = [str(q) for q in rng.choice(questions, QUESTIONS_PER_ROOM, replace=False)]
            yaw = rng.uniform(0, 2 * np.pi)
            turn = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
            matrix = 1000 * Z_UP_TO_Y_UP @ turn
            mesh = scanned.mesh
            vertices = (mesh.vertices @ matrix.T).astype(np.float32)
            moved = Mesh(vertices=vertices, faces=mesh.faces, colors=mesh.colors, normals=None)
            answers = []
            for name, version in (("as_is", mesh), ("turned", moved)):
                path = Path(folder) / f"{name}.ply"
                write_ply(path, version)
                answers.append(model.ask(askscan.read_scan(path), *chosen))
            for first, second in zip(*answers, strict=True):
                top = [answer.answers[0].answer for answer in (first, second)]
                same.append(top[0] == top[1])
                spelled_alike.append(top[0].replace("grey", "gray") == top[1].replace("grey", "gray"))
                if same[-1]:
                    center = np.linalg.inv(matrix) @ second.corners.mean(0)
                    distances.append(float(np.linalg.norm(center - first.corners.mean(0))))
            print(f"seed {seed}: {100 * np.mean(same):.1f} % of {len(same)} the same so far", flush=True)
    near = 100 * np.mean(np.array(distances) < 0.3)
    print(f"same top answer: {100 * np.mean(same):.1f} % of {len(same)} questions in {num_rooms} rooms")
    print(f"with gray and grey as one word: {100 * np.mean(spelled_alike):.1f} %")
    print(f"boxes of same answers: median {np.median(distances):.3f} m apart, {near:.1f} % within 0.3 m")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
