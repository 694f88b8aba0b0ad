//! Two columns side by side, in 80 characters: pure, knows no terminal.

/// All that is printed fits.
pub(super) const WIDTH: usize = 80;
/// The left column, the login page. Narrow, so that each id fits a line of the phone's.
const LEFT: usize = 18;
/// Between the two.
const GAP: &str = " | ";
/// The right column, the phone.
const RIGHT: usize = WIDTH - LEFT - GAP.len();

/// How a line is meant; the terminal gives it a colour, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// As it is.
    Plain,
    /// A heading.
    Strong,
    /// Of less weight.
    Faint,
    /// It went well, or is to be typed.
    Good,
    /// Refused.
    Bad,
}

/// A text of any length, to be wrapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    text: String,
    style: Style,
    indent: usize,
}

impl Line {
    /// A line of this style.
    pub(super) fn new(style: Style, text: impl Into<String>) -> Self {
        Self { text: text.into(), style, indent: 0 }
    }

    /// Ordinary words.
    pub(super) fn plain(text: impl Into<String>) -> Self {
        Self::new(Style::Plain, text)
    }

    /// The first `indent` characters are a label: what follows is wrapped beneath itself.
    pub(super) fn with_indent(self, indent: usize) -> Self {
        Self { indent, ..self }
    }

    /// What it takes to print it.
    pub(super) fn wrapped(&self, width: usize) -> impl Iterator<Item = (Style, String)> {
        let style = self.style;
        wrap(&self.text, width, self.indent).into_iter().map(move |text| (style, text))
    }
}

/// The rows of two columns, one line under the other in each; `paint` puts a style on a text.
pub(super) fn side_by_side(
    left: &[Line],
    right: &[Line],
    paint: impl Fn(Style, &str) -> String,
) -> Vec<String> {
    let left = cells(left, LEFT);
    let right = cells(right, RIGHT);
    let rows = left.len().max(right.len());
    let cell = |cells: &[(Style, String)], row: usize| {
        cells.get(row).cloned().unwrap_or((Style::Plain, String::new()))
    };
    (0..rows)
        .map(|row| {
            let (left_style, left) = cell(&left, row);
            let (right_style, right) = cell(&right, row);
            // Padded before it is painted: colours take no room.
            let left = paint(left_style, &format!("{left:LEFT$}"));
            let gap = paint(Style::Faint, if right.is_empty() { GAP.trim_end() } else { GAP });
            format!("{left}{gap}{}", paint(right_style, &right))
        })
        .collect()
}

fn cells(lines: &[Line], width: usize) -> Vec<(Style, String)> {
    lines.iter().flat_map(|line| line.wrapped(width)).collect()
}

/// `text` in lines of at most `width` characters. Its first `indent` characters are kept, and all further lines
/// stand behind as many spaces. Breaks at spaces, and inside a word only where it fits no line.
fn wrap(text: &str, width: usize, indent: usize) -> Vec<String> {
    let mut lead: String = text.chars().take(indent).collect();
    let mut rest: Vec<char> = text.chars().skip(indent).collect();
    let room = width.saturating_sub(indent).max(1);
    let mut lines = Vec::new();
    loop {
        let tail = if rest.len() > room {
            // Spaces at the beginning are the layout's, and no place to break.
            let start = rest.iter().take_while(|character| **character == ' ').count();
            let space = (start + 1..=room).rev().find(|index| rest[*index] == ' ');
            rest.split_off(space.unwrap_or(room))
        } else {
            Vec::new()
        };
        let line: String = rest.iter().collect();
        lines.push(format!("{lead}{line}").trim_end().to_owned());
        rest = tail.into_iter().skip_while(|character| *character == ' ').collect();
        if rest.is_empty() {
            return lines;
        }
        lead = " ".repeat(indent);
    }
}

/// A shell's command in lines of at most [`WIDTH`] characters where its words allow it: for copying, no word is
/// broken.
pub(super) fn command_lines(command: &str) -> Vec<String> {
    /// Room for the backslash at the end.
    const ROOM: usize = WIDTH - 2;
    let mut lines: Vec<String> = Vec::new();
    for word in command.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= ROOM => {
                line.push(' ');
                line.push_str(word);
            }
            Some(line) => {
                line.push_str(" \\");
                lines.push(format!("    {word}"));
            }
            None => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unpainted(_: Style, text: &str) -> String {
        text.to_owned()
    }

    #[test]
    fn text_is_broken_at_spaces_and_words_only_where_they_fit_no_line() {
        assert_eq!(wrap("", 5, 0), [""]);
        assert_eq!(wrap("12345", 5, 0), ["12345"]);
        assert_eq!(wrap("one two three", 7, 0), ["one two", "three"]);
        assert_eq!(wrap("id  chl_0123456789", 8, 4), ["id  chl_", "    0123", "    4567", "    89"]);
        assert_eq!(wrap("to: one two three", 11, 4), ["to: one two", "    three"]);
        assert_eq!(wrap("to:", 11, 4), ["to:"]);
        assert_eq!(wrap("  indented words", 10, 0), ["  indented", "words"]);
        assert_eq!(wrap("ääää öö", 4, 0), ["ääää", "öö"]);
        assert_eq!(wrap("abc   ", 4, 0), ["abc"]);
        assert_eq!(wrap("abcd", 1, 2), ["abc", "  d"]);
    }

    #[test]
    fn columns_stand_side_by_side_and_fit_the_width() {
        let left = [Line::plain("match code"), Line::new(Style::Good, "042")];
        let right =
            [Line::plain("label   a value that is somewhat longer than the column is wide").with_indent(8)];
        let rows = side_by_side(&left, &right, unpainted);
        assert_eq!(
            rows,
            [
                "match code         | label   a value that is somewhat longer than the column is",
                "042                |         wide",
            ]
        );
        let long = "a".repeat(500);
        let rows = side_by_side(&[Line::plain(&long)], &[Line::plain(&long)], unpainted);
        assert!(rows.iter().all(|row| row.chars().count() <= WIDTH));
        assert_eq!(side_by_side(&left, &[], unpainted)[1], "042                |");
        assert!(side_by_side(&[], &[], unpainted).is_empty());
    }

    #[test]
    fn paint_takes_no_room() {
        let paint = |style: Style, text: &str| match style {
            Style::Good => format!("<{text}>"),
            _ => text.to_owned(),
        };
        let rows = side_by_side(&[Line::new(Style::Good, "042")], &[Line::plain("phone")], paint);
        assert_eq!(rows, ["<042               > | phone"]);
    }

    #[test]
    fn a_command_is_broken_between_words_for_a_shell() {
        assert_eq!(command_lines("ls -l"), ["ls -l"]);
        let path = "/a".repeat(50);
        let lines = command_lines(&format!("cat {path} --number"));
        assert_eq!(lines, ["cat \\".to_owned(), format!("    {path} \\"), "    --number".to_owned()]);
    }
}
