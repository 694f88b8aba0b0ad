//! What a device calls, and what is refused of it.

mod calls;
mod changes;
mod clock;
mod goodbye;
mod new_key;
mod responding;
