//! The push dispatcher, the APNs client and the FCM client by themselves, over real sockets, against the stand-ins. They know of no store:
//! what pushes are to a whole installation, on each store, is in `end_to_end`.

mod apns;
mod captured_log;
mod dispatch;
mod fcm;
#[path = "../end_to_end/soon.rs"]
mod soon;
