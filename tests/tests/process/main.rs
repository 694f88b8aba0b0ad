//! Tests of the program as operators run it: a process of its own, signals, files, sockets and what it prints.

mod applications;
mod malformed;
mod people;
mod program;
mod receipts;
mod secrets;
mod settings;
mod shutdown;
mod survival;
mod synced;
mod web;
