"""The same predictions for the real ScanQA val questions each time: right ones, half right ones, wrong ones."""

import hashlib

from askscan.records import Prediction, Question


def fixed_predictions(questions: tuple[Question, ...]) -> tuple[Prediction, ...]:
    pool = [answer for question in questions for answer in question.answers]
    predictions = []
    for question in questions:
        number = int.from_bytes(hashlib.blake2b(question.question_id.encode(), digest_size=8).digest(), "big")
        own = question.answers[number % len(question.answers)]
        others = [pool[(number + step * 7919) % len(pool)] for step in range(12)]
        mixed = f"{own.split()[0]} {others[0].split()[-1]}"
        first = (own, mixed, f"{others[0]} and {own}", others[0], others[1])[number // 16 % 5]
        answers = tuple(dict.fromkeys([first, *others, own]))[:10]
        predictions.append(
            Prediction(scene_id=question.scene_id, question_id=question.question_id, answers=answers, corners=None)
        )
    return tuple(predictions)
