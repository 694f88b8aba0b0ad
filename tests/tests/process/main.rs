//! Tests of the program as operators run it: a process of its own, signals, files, sockets and what it prints.

mod applications;
mod malformed;
mod moving;
mod people;
mod program;
mod push;
mod receipts;
mod redis;
mod secrets;
mod servers;
mod settings;
mod shutdown;
mod streams;
mod survival;
mod synced;
mod web;
