//! The operations as pure functions, and what holds over every sequence of them.

mod attempts;
mod clocks;
mod codes;
mod commits;
mod fixture;
mod new_key;
mod outcomes;
mod random;
mod records;
mod revocation;
