"""Reads what `carnot exec` prints, by trtexec's published format alone."""

import re
from dataclasses import dataclass, field

LINE = re.compile(r"^\[\d\d/\d\d/\d{4}-\d\d:\d\d:\d\d\] \[([IWEV])\] (.*)$")
VERDICT = re.compile(r"^&&&& (RUNNING|PASSED|FAILED) (\S+) \[(\S+) v(\S+)\] # (.*)$")
FIELD = re.compile(r"([\w%().]+) = ([\d.]+) ms")
AVERAGE = re.compile(
    r"Average on (\d+) runs - GPU latency: ([\d.]+) ms - Host latency: ([\d.]+) ms "
    r"\(enqueue ([\d.]+) ms\)"
)
ROW = re.compile(r"^\s*([\d.]+)\s+([\d.]+)\s+([\d.]+)\s+([\d.]+)   (.+)$")


@dataclass
class Report:
    verdicts: list = field(default_factory=list)
    lines: dict = field(default_factory=lambda: {kind: [] for kind in "IWEV"})
    sections: dict = field(default_factory=dict)

    def value(self, label):
        """The number after `label:` in the summary, without its unit."""
        (text,) = [t for t in self.sections["Performance summary"] if t.startswith(label + ": ")]
        return float(text[len(label) + 2 :].split()[0])

    def row(self, label):
        """The fields of a line of milliseconds in the summary."""
        (text,) = [t for t in self.sections["Performance summary"] if t.startswith(label + ": ")]
        return {name: float(number) for name, number in FIELD.findall(text)}

    def averages(self):
        found = [AVERAGE.fullmatch(text) for text in self.sections["Trace details"]]
        return [tuple(map(float, match.groups())) for match in found if match]

    def profile(self):
        """Iterations, and the rows (time, average, median, share, layer) up to Total."""
        ((title, texts),) = [s for s in self.sections.items() if s[0].startswith("Profile (")]
        assert texts[0].split() == ["Time(ms)", "Avg.(ms)", "Median(ms)", "Time(%)", "Layer"]
        rows = []
        for text in texts[1:]:
            *numbers, layer = ROW.match(text).groups()
            rows.append((*map(float, numbers), layer))
            if layer == "Total":
                break
        return int(re.fullmatch(r"Profile \((\d+) iterations \)", title)[1]), rows


def read(result):
    """A finished process's report; fails on a line that no trtexec would print."""
    report = Report()
    section = None
    for text in result.stdout.splitlines():
        if verdict := VERDICT.match(text):
            report.verdicts.append(verdict.groups())
            continue
        kind, rest = LINE.match(text).groups()
        assert kind in "IV", "warnings and errors belong on standard error"
        report.lines[kind].append(rest)
        if title := re.fullmatch(r"=== (.*) ===", rest):
            section = report.sections.setdefault(title[1], [])
        elif section is not None and rest:
            section.append(rest)
    for text in result.stderr.splitlines():
        kind, rest = LINE.match(text).groups()
        assert kind in "WE"
        report.lines[kind].append(rest)
    assert [verdict[0] for verdict in report.verdicts] == [
        "RUNNING",
        "PASSED" if result.returncode == 0 else "FAILED",
    ]
    lines = result.stdout.splitlines()
    assert lines[0].startswith("&&&& RUNNING") and lines[-1].startswith("&&&& ")
    return report
