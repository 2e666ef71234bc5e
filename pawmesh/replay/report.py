"""A replay's report, as a person reads it."""

from typing import Any

from pawmesh.console import print_line


def show_replay(found: dict[str, Any]) -> None:
    """The report for a person."""
    stored = found["epochs_stored"] + found["fixes_stored"]
    cloud = found["epochs_cloud"] + found["fixes_cloud"]
    print_line(
        f"{len(found['animals'])} animals: {found['epochs_stored']} epochs of {found['windows']} "
        f"windows and {found['fixes_stored']} positions stored at home, {cloud} of {stored} in the "
        f"cloud; lost {found['lost']}, duplicates {found['duplicates']}; {found['seconds']:.0f} s"
    )
    for animal, macro_f1 in found["macro_f1"].items():
        baseline = found["majority"][animal]
        print_line(
            f"  {animal:<12} macro-F1 {macro_f1:.3f}, accuracy {found['accuracy'][animal]:.3f}, "
            f"decided {found['coverage_by_animal'][animal]:.0%}; always {baseline['behaviour']!r} "
            f"would have {baseline['macro_f1']:.3f} and {baseline['accuracy']:.3f}"
        )
    if found["confusion"]:
        _show_confusion(found["confusion"])
    print_line(f"Its data is in {found['data_dir']}")


def _show_confusion(confusion: dict[str, dict[str, int]]) -> None:
    said = sorted({name for row in confusion.values() for name in row}, key=lambda n: n == "unsure")
    print_line("  true \\ said " + "".join(f"{name:>9}" for name in said))
    for name, row in confusion.items():
        print_line(f"  {name:<12}" + "".join(f"{row.get(each, 0):>9}" for each in said))
