"""Names and texts that a format may take for something else."""

from bnbench.reports import Cell, Column, Listing, Report, ReportView, Table

HOSTILE = {
    "script": "</script><script>document.title='pwned'</script>",
    "quotes": "\"double\" 'single' `back` ``both''",
    "entity": "&lt; &amp; R&D",
    "link": "[a](http://x)",
    "image": "![i](http://x/i.png)",
    "emphasis": "_b_ *b* **b** ~~b~~",
    "row": "| a | b |",
    "colour": "\x1b[31mred\x1b[0m",
    "title": "\x1b]0;pwned\x07",
    "bell": "be\x07ll\x08",
    "eight-bit": "\x9b31mred",
    "right-to-left": "abc\u202edcba\u2066x",
    "line ends": "a\nb\r\nc\u2028d\x85e",
    "formula": "=cmd|' /C calc'!A0",
    "plus": "+1+1",
    "minus": "-1+1",
    "at": "@SUM(1+1)",
    "wide formula": "\uff1d1+1",
    "tab": "\t=1+1",
    "path": "../../etc/passwd",
    "latex": r"\immediate\write18{touch pwned}\input{/etc/passwd} $x^2_3$ #1 %",
    "braces": r"}{\end{tabular} {unclosed \\",
    "options": "[9pt] * -- --- ?` !` ,, << >>",
    "letters": "中文 ёж αβ é \u017f ŉ 😀 ħ",
    "long": "x" * 200,
    "blank": " ",
    "markup": "[red]bold[/red] :skull: <b>b</b>",
}
"""By the reason why they are hostile."""


def hostile_report(*names: str) -> Report:
    """A report that has some hostile texts wherever a report has texts: a view for each."""
    return Report("hostile", (), tuple(_view(HOSTILE[name]) for name in names))


def _view(text: str) -> ReportView:
    columns = (Column(text, key=True), Column("lr"), Column("val %"), Column(text, prose=True))
    row = (
        Cell(text),
        Cell(text, "lr", where={"norm": text}),
        Cell(0.9, "percent", words=text, remarks=(text,)),
        Cell(f"{text} {text}"),
    )
    return ReportView(text, (Table(text, columns, (row,), (text,)),), (text,), listings=(Listing(text, text),))
