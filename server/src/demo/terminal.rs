//! What the demo is played on: prints, and asks where there is somebody to ask.

use std::{
    env,
    io::{self, IsTerminal as _, Write as _},
    thread,
};

use tokio::sync::mpsc;

use super::{
    columns::{Line, Style, WIDTH, command_lines, side_by_side},
    error::DemoError,
    wire::Traffic,
};

/// The screen, and the keyboard if a person sits at it.
pub(super) struct Terminal {
    is_screen: bool,
    has_colours: bool,
    typed: Option<mpsc::UnboundedReceiver<String>>,
}

impl Terminal {
    /// Asks nobody when `answers_itself`, or when standard input or output is no terminal.
    pub(super) fn new(answers_itself: bool) -> Self {
        let is_screen = io::stdout().is_terminal();
        let is_asking = !answers_itself && is_screen && io::stdin().is_terminal();
        let has_colours = is_screen && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { is_screen, has_colours, typed: is_asking.then(typed_lines) }
    }

    /// Whether there is somebody to ask.
    pub(super) fn is_asking(&self) -> bool {
        self.typed.is_some()
    }

    /// Words over the whole width.
    pub(super) fn say(&self, style: Style, text: &str) {
        self.print(&Line::new(style, text));
    }

    /// A line over the whole width.
    pub(super) fn print(&self, line: &Line) {
        for (style, text) in line.wrapped(WIDTH) {
            print(&self.paint(style, &text));
        }
    }

    /// A line to be copied into a shell.
    pub(super) fn command(&self, command: &str) {
        for line in command_lines(command) {
            print(&self.paint(Style::Good, &line));
        }
    }

    /// A picture made of characters, line by line as it is; nothing where there is no screen.
    pub(super) fn picture(&self, picture: &str) {
        if self.is_screen {
            picture.lines().for_each(print);
        }
    }

    /// An empty line.
    pub(super) fn space(&self) {
        self.say(Style::Plain, "");
    }

    /// A heading with a rule to the end of the line.
    pub(super) fn heading(&self, text: &str) {
        self.space();
        let rule = "-".repeat(WIDTH.saturating_sub(text.chars().count() + 4));
        print(&self.paint(Style::Strong, &format!("-- {text} {rule}")));
        self.space();
    }

    /// Says which column is whose.
    pub(super) fn column_heads(&self) {
        let head = |name| [Line::new(Style::Strong, name)];
        self.columns(&head("login page"), &head("phone"));
    }

    /// Login page and phone.
    pub(super) fn columns(&self, page: &[Line], phone: &[Line]) {
        for row in side_by_side(page, phone, |style, text| self.paint(style, text)) {
            print(row.trim_end());
        }
    }

    /// What went over the wire since this was last printed.
    pub(super) fn wire(&self, traffic: &Traffic) {
        for passed in traffic.take() {
            print(&self.paint(Style::Faint, &passed.to_string()));
        }
    }

    /// Replaces the line that the cursor is on; nothing where there is no screen.
    pub(super) fn replace_line(&self, text: &str) {
        if self.is_screen {
            write(&format!("\r{text:60}\r"));
        }
    }

    /// What the person types, without the spaces around it. What was typed before it is asked does not count.
    pub(super) async fn ask(&mut self, question: &str) -> Result<String, DemoError> {
        write(&format!("{} ", self.paint(Style::Strong, question)));
        self.line().await
    }

    /// The next line.
    pub(super) async fn line(&mut self) -> Result<String, DemoError> {
        let typed = self.typed.as_mut().ok_or(DemoError::NobodyAnswers)?;
        while typed.try_recv().is_ok() {}
        let line = typed.recv().await.ok_or(DemoError::NobodyAnswers)?;
        Ok(line.trim().to_owned())
    }

    fn paint(&self, style: Style, text: &str) -> String {
        let code = match style {
            Style::Plain => return text.to_owned(),
            _ if !self.has_colours || text.is_empty() => return text.to_owned(),
            Style::Strong => "1",
            Style::Faint => "2",
            Style::Good => "32",
            Style::Bad => "31",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// Lines from standard input. A thread of its own reads them: it may wait for ever, and the program ends
/// without it.
fn typed_lines() -> mpsc::UnboundedReceiver<String> {
    let (sender, receiver) = mpsc::unbounded_channel();
    thread::spawn(move || {
        for line in io::stdin().lines() {
            let Ok(line) = line else { return };
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

fn print(line: &str) {
    write(&format!("{line}\n"));
}

/// A reader that has gone away ends the demo no sooner than it would have ended.
fn write(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes());
    let _ = stdout.flush();
}
