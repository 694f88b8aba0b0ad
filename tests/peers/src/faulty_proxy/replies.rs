//! Where replies end.

/// Counts the replies in a server's stream (RESP 2).
#[derive(Default)]
pub(super) struct Replies {
    /// The line that has begun.
    line: Vec<u8>,
    /// How many bytes of a text are to come, with its line's end.
    text_left: usize,
    /// How many values are to come of each array that has begun, the innermost last.
    arrays: Vec<usize>,
}

impl Replies {
    /// How many replies end in the next piece of the stream.
    pub(super) fn ended_in(&mut self, mut piece: &[u8]) -> usize {
        let mut ended = 0;
        while let Some((first, rest)) = piece.split_first() {
            if self.text_left > 0 {
                let taken = self.text_left.min(piece.len());
                self.text_left -= taken;
                piece = &piece[taken..];
                ended += usize::from(self.text_left == 0 && self.value_ended());
                continue;
            }
            piece = rest;
            if *first != b'\n' {
                self.line.push(*first);
                continue;
            }
            let line = std::mem::take(&mut self.line);
            ended += usize::from(self.is_end(&line) && self.value_ended());
        }
        ended
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_of_all_kinds_are_counted_in_whatever_pieces_they_come() {
        let stream = b"+OK\r\n:1\r\n-ERR no\r\n$-1\r\n$0\r\n\r\n*0\r\n*2\r\n*2\r\n$4\r\na\r\nb\r\n:1\r\n$-1\r\n*-1\r\n";
        for length in 1..=stream.len() {
            let mut replies = Replies::default();
            let ended: usize = stream.chunks(length).map(|piece| replies.ended_in(piece)).sum();
            assert_eq!(ended, 8, "in pieces of {length}");
        }
    }
}
