//! What a Redis server does, as its `MONITOR` tells.

use countersign_test_peers::{RedisServer, RespConnection, Value};

/// Says that all before it has been told.
const END: &str = "that is all";

/// Hears of every command that a server runs.
pub(super) struct Monitor {
    told: RespConnection,
    other: RespConnection,
}

/// A command that was run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Command {
    /// Whether a script called it.
    pub(super) is_of_script: bool,
    /// Its name and arguments, as `MONITOR` writes them: what cannot be printed is escaped.
    pub(super) words: Vec<String>,
}

impl Monitor {
    pub(super) async fn of(server: &RedisServer) -> Self {
        let mut told = server.connect().await.expect("a connection");
        let started = told.command(&["MONITOR"]).await.expect("an answer");
        assert_eq!(started, Value::Simple("OK".into()));
        Self { told, other: server.connect().await.expect("a connection") }
    }

    /// All commands since the last call.
    pub(super) async fn commands(&mut self) -> Vec<Command> {
        self.other.command(&["ECHO", END]).await.expect("an answer");
        let mut commands = Vec::new();
        loop {
            let line = self.told.next().await.expect("a line").text().expect("a line");
            let command = parsed(&line);
            if command.words.last().is_some_and(|word| word == END) {
                return commands;
            }
            commands.push(command);
        }
    }

    /// The keys among the words of a command, by Redis' own knowledge of it.
    pub(super) async fn keys(&mut self, command: &Command) -> Vec<String> {
        if command.words.len() == 1 {
            return Vec::new();
        }
        let words = command.words.iter().map(String::as_str);
        let get_keys: Vec<_> = ["COMMAND", "GETKEYS"].into_iter().chain(words).collect();
        match self.other.command(&get_keys).await.expect("an answer") {
            Value::Array(keys) => keys.iter().filter_map(Value::text).collect(),
            Value::Error(error) if error.contains("no key arguments") => Vec::new(),
            other => panic!("{other:?}"),
        }
    }
}

/// `1795000000.000000 [0 lua] "set" "key" "value"`.
fn parsed(line: &str) -> Command {
    let (client, rest) = line.split_once("] ").expect("the client stands in brackets");
    let mut words = Vec::new();
    let mut characters = rest.chars();
    while characters.by_ref().any(|character| character == '"') {
        let mut word = String::new();
        while let Some(character) = characters.next().filter(|character| *character != '"') {
            word.push(character);
            if character == '\\' {
                word.extend(characters.next());
            }
        }
        words.push(word);
    }
    Command { is_of_script: client.ends_with(" lua"), words }
}
