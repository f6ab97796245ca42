#!/usr/bin/env python3
"""Prints the section list of an RFC for this folder: extract.py rfc3261.txt "TITLE" > 3261.tsv (then read it through).

One line per section: number, how many steps its numbered list has (empty when none), title. The first line is the title of the RFC.
"""
import re
import sys

PAGE = re.compile(r"^(RFC \d+ {2,}.*|.*\[Page \d+\])$")
HEADING = re.compile(r"^(?:Appendix ([A-Z])|(\d+(?:\.\d+)*|[A-Z](?:\.\d+)+|[A-Z]))(?:[.:]|(?= ))\s+(\S.*)$")
STEP = re.compile(r"^ {2,9}\(?(\d+)[.)]\)?\s+\S")


def follows(previous, number):
    """Whether a section number can come after another: the next sibling, of it or of what holds it, or its first child."""
    if previous is None:
        return number == ["1"]
    if number[:-1] == previous and number[-1] == "1":
        return True
    for depth in range(len(previous), 0, -1):
        stem, last = previous[: depth - 1], previous[depth - 1]
        step = str(int(last) + 1) if last.isdigit() else chr(ord(last) + 1)
        if number == stem + [step]:
            return True
    return number == ["A"] and previous[0].isdigit()


def main():
    lines = open(sys.argv[1], encoding="utf-8-sig", errors="replace").read().replace("\f", "").split("\n")
    lines = [line.rstrip() for line in lines]
    print(sys.argv[2])
    sections, previous = [], None
    for index, line in enumerate(lines):
        if PAGE.match(line):
            continue
        match = HEADING.match(line)
        if match:
            number = (match.group(1) or match.group(2)).split(".")
            if re.search(r"\. ?\.|\.{4,}", line) or not follows(previous, number):
                continue
            title = match.group(3)
            following = lines[index + 1] if index + 1 < len(lines) else ""
            if following.startswith("      ") and following.strip():
                title += " " + following.strip()
            sections.append([".".join(number), 0, re.sub(r"\s+", " ", title), 1])
            previous = number
            continue
        step = STEP.match(line)
        if step and sections:
            # The longest list that counts up from one.
            n, section = int(step.group(1)), sections[-1]
            if n == 1:
                section[3] = 2
            elif n == section[3]:
                section[3] += 1
            else:
                continue
            section[1] = max(section[1], n)
    for number, steps, title, _ in sections:
        print(f"{number}\t{steps or ''}\t{title}")


main()
