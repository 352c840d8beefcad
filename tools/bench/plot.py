"""Draws results of peers.py as SVG: time of a query against recall."""
import html
import math

PANEL_WIDTH, PANEL_HEIGHT, GAP = 440, 250, 40
LEFT, TOP, BOTTOM = 60, 60, 40
COLOURS = (
    "#d62728", "#1f77b4", "#5fa2ce", "#9ecae1", "#17becf", "#2ca02c", "#98df8a", "#9467bd", "#8c564b", "#7f7f7f",
    "#ff7f0e", "#ffbb78", "#bcbd22", "#e377c2",
)


def ticks(low, high):
    """1, 2 and 5 times the powers of ten within."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [m * 10.0**d for d in decades for m in (1, 2, 5) if low <= m * 10.0**d <= high]


def text(x, y, content, anchor="middle", size=11, extra=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" {extra}>{html.escape(content)}</text>'


def panel(cases, x, y, title, colours, low_recall):
    """One chart with its corner at (x, y): time on a logarithmic axis, recall upward."""
    times = [case["ms"] for case in cases]
    low, high = min(times) / 1.5, max(times) * 1.5
    span = 1 - low_recall

    def place(case):
        return (
            x + PANEL_WIDTH * math.log(case["ms"] / low) / math.log(high / low),
            y + 15 + (PANEL_HEIGHT - 30) * (1 - (case["recall"] - low_recall) / span),
        )

    out = [
        f'<rect x="{x}" y="{y}" width="{PANEL_WIDTH}" height="{PANEL_HEIGHT}" fill="none" stroke="#999"/>',
        text(x + PANEL_WIDTH / 2, y - 8, title, size=13),
        text(x + PANEL_WIDTH / 2, y + PANEL_HEIGHT + 32, "ms for each query (logarithmic)"),
    ]
    for tick in ticks(low, high):
        at = x + PANEL_WIDTH * math.log(tick / low) / math.log(high / low)
        out.append(f'<line x1="{at:.1f}" y1="{y}" x2="{at:.1f}" y2="{y + PANEL_HEIGHT}" stroke="#eee"/>')
        out.append(text(at, y + PANEL_HEIGHT + 15, f"{tick:g}"))
    for i in range(5):
        recall = low_recall + span * i / 4
        at = y + 15 + (PANEL_HEIGHT - 30) * (1 - i / 4)
        out.append(f'<line x1="{x}" y1="{at:.1f}" x2="{x + PANEL_WIDTH}" y2="{at:.1f}" stroke="#eee"/>')
        out.append(text(x - 6, at + 4, f"{recall:.3f}", "end"))
    for case in reversed(cases):  # the first on top
        cx, cy = place(case)
        tip = f"{case['system']}: {case['ms']:.3g} ms, recall {case['recall']:.4f}"
        out.append(
            f'<circle cx="{cx:.1f}" cy="{cy:.1f}" r="6" fill="{colours[case["system"]]}" fill-opacity="0.85">'
            f"<title>{html.escape(tip)}</title></circle>"
        )
    return out


def plot(results, size):
    """The SVG text; `results` maps a kind of data to runs, each of one thread count."""
    runs = [(kind, run) for kind, all_runs in results.items() for run in all_runs]
    systems = list(dict.fromkeys(case["system"] for _, run in runs for case in run["cases"]))
    colours = {system: COLOURS[i % len(COLOURS)] for i, system in enumerate(systems)}
    low_recall = min(case["recall"] for _, run in runs for case in run["cases"])
    low_recall = min(0.99, math.floor(low_recall * 100) / 100)
    batches = sorted({case["batch"] for _, run in runs for case in run["cases"]})

    body = []
    for row, (kind, run) in enumerate(runs):
        for column, batch in enumerate(batches):
            x = LEFT + column * (PANEL_WIDTH + GAP + 40)
            y = TOP + row * (PANEL_HEIGHT + GAP + BOTTOM)
            cases = [case for case in run["cases"] if case["batch"] == batch]
            threads = f"{run['threads']} thread{'s' if run['threads'] > 1 else ''}"
            queries = f"{batch} quer{'ies' if batch > 1 else 'y'} at once"
            body += panel(cases, x, y, f"{size} {kind}, {threads}, {queries}", colours, low_recall)
    width = LEFT + len(batches) * (PANEL_WIDTH + GAP + 40)
    legend_top = TOP + len(runs) * (PANEL_HEIGHT + GAP + BOTTOM) - 10
    for i, system in enumerate(systems):
        x, y = LEFT + i % 3 * 310, legend_top + i // 3 * 22
        body.append(f'<circle cx="{x}" cy="{y}" r="6" fill="{colours[system]}"/>')
        body.append(text(x + 12, y + 4, system, "start", 12))
    height = legend_top + (len(systems) + 2) // 3 * 22 + 10
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'font-family="sans-serif">\n<rect width="{width}" height="{height}" fill="white"/>\n'
    )
    title = text(width / 2, 24, "Time of a query against recall@10; up and left is better", size=15)
    return head + "\n".join([title, *body]) + "\n</svg>\n"
