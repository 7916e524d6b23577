from askscan.metrics.localization import Localization


def test_thresholds_count_their_own_value_and_groups_are_apart() -> None:
    accuracy = Localization()
    for iou, unique in ((0.25, True), (0.5, False), (0.2499, False), (0.9, None)):
        accuracy.add(iou, unique=unique)
    assert accuracy.compute() == {
        "Acc@0.25": 75.0,
        "Acc@0.5": 50.0,
        "Acc@0.25 unique": 100.0,
        "Acc@0.5 unique": 0.0,
        "Acc@0.25 multiple": 50.0,
        "Acc@0.5 multiple": 50.0,
    }
    assert accuracy.shares["Acc@0.25"].count == 4 and accuracy.shares["Acc@0.25 unique"].count == 1
