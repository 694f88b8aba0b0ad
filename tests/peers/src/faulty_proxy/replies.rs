//! Where one reply ends and the next begins.

/// What has come of a server's stream (RESP 2) and has not been handed on.
#[derive(Default)]
pub(super) struct Replies {
    /// The beginning of a reply whose end is to come.
    begun: Vec<u8>,
    /// The line that has begun.
    line: Vec<u8>,
    /// How many bytes of a text are to come, with its line's end.
    text_left: usize,
    /// How many values are to come of each array that has begun, the innermost last.
    arrays: Vec<usize>,
    /// What came is no RESP, such as TLS: nothing is known of its replies.
    opaque: bool,
}

/// What can be handed on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Whole replies, or messages, in their order.
    Whole(Vec<Vec<u8>>),
    /// A piece of a stream that is no RESP.
    Opaque(Vec<u8>),
}

impl Replies {
    /// Takes the next piece of the stream, and gives what is whole with it.
    pub(super) fn push(&mut self, piece: &[u8]) -> Piece {
        let is_first = self.begun.is_empty() && self.line.is_empty();
        self.opaque |= is_first && piece.first().is_some_and(|first| !b"+-:$*".contains(first));
        if self.opaque {
            return Piece::Opaque(piece.to_vec());
        }
        let (mut whole, mut rest) = (Vec::new(), piece);
        while let Some(length) = self.end_in(rest) {
            let (end, after) = rest.split_at(length);
            self.begun.extend_from_slice(end);
            whole.push(std::mem::take(&mut self.begun));
            rest = after;
        }
        self.begun.extend_from_slice(rest);
        Piece::Whole(whole)
    }

    /// How much of the next piece belongs to the reply that has begun; none if its end is not in it.
    fn end_in(&mut self, piece: &[u8]) -> Option<usize> {
        let mut at = 0;
        while at < piece.len() {
            if self.text_left > 0 {
                let taken = self.text_left.min(piece.len() - at);
                self.text_left -= taken;
                at += taken;
                if self.text_left == 0 && self.value_ended() {
                    return Some(at);
                }
                continue;
            }
            let next = piece[at];
            at += 1;
            if next != b'\n' {
                self.line.push(next);
                continue;
            }
            let line = std::mem::take(&mut self.line);
            if self.is_end(&line) && self.value_ended() {
                return Some(at);
            }
        }
        None
    }

    /// Whether a value ends with this line.
    fn is_end(&mut self, line: &[u8]) -> bool {
        let Some((kind, number)) = line.split_first() else { return false };
        let number = str::from_utf8(number).ok().and_then(|number| number.trim_end().parse::<usize>().ok());
        match (kind, number) {
            (b'$', Some(length)) => {
                self.text_left = length + 2;
                false
            }
            (b'*', Some(count)) if count > 0 => {
                self.arrays.push(count);
                false
            }
            _ => true,
        }
    }

    /// Whether the reply ends with this value.
    fn value_ended(&mut self) -> bool {
        while let Some(left) = self.arrays.last_mut() {
            *left -= 1;
            if *left > 0 {
                return false;
            }
            self.arrays.pop();
        }
        true
    }
}

/// Whether it is what a channel brings: an array that begins with the text `message`.
pub(super) fn is_message(reply: &[u8]) -> bool {
    reply.starts_with(b"*3\r\n$7\r\nmessage\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_of_all_kinds_are_told_apart_in_whatever_pieces_they_come() {
        let replies: [&[u8]; 8] = [
            b"+OK\r\n",
            b":1\r\n",
            b"-ERR no\r\n",
            b"$-1\r\n",
            b"$0\r\n\r\n",
            b"*0\r\n",
            b"*2\r\n*2\r\n$4\r\na\r\nb\r\n:1\r\n$-1\r\n",
            b"*-1\r\n",
        ];
        let stream = replies.concat();
        for length in 1..=stream.len() {
            let (mut stand, mut told) = (Replies::default(), Vec::new());
            for piece in stream.chunks(length) {
                let Piece::Whole(whole) = stand.push(piece) else { panic!("it is RESP") };
                told.extend(whole);
            }
            assert_eq!(told, replies, "in pieces of {length}");
        }
    }

    #[test]
    fn what_is_no_resp_is_handed_on_as_it_comes() {
        let mut replies = Replies::default();
        for piece in [b"\x16\x03\x01", b"+OK", b"\r\n$"] as [&[u8]; 3] {
            assert_eq!(replies.push(piece), Piece::Opaque(piece.to_vec()));
        }
    }

    #[test]
    fn a_message_is_told_from_other_replies() {
        assert!(is_message(b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$0\r\n\r\n"));
        assert!(!is_message(b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n"));
    }
}
