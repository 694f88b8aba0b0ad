//! Tests of the program as operators run it, and of the agent: a process of its own, signals, files, sockets and what it
//! prints.

mod agent;
mod api_keys;
mod applications;
mod doctor;
mod guide;
mod malformed;
mod moving;
mod people;
mod program;
mod push;
mod receipts;
mod redis;
mod restore;
mod revocations;
mod secrets;
mod server_keys;
mod servers;
mod settings;
mod shutdown;
mod streams;
mod survival;
mod synced;
mod unit;
mod users;
mod web;
