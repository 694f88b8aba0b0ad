//! A device that answers Countersign's challenges.
//!
//! [`Agent`] holds a state directory with one file for each enrolled [`Account`]. A pairing link becomes an
//! [`Offer`], an accepted offer an [`Account`]; the account fetches challenges, and only a
//! [`VerifiedChallenge`] can be answered: its signature was followed up to the root key that was pinned at
//! enrolment, and it was found to be about this account and nothing else.
//!
//! ```text
//!  link ── inspect ──> Offer ── accept ──> Account ── pending, challenge ──> VerifiedChallenge
//!          (verified,          (key is on     │                                     │
//!           shown)              disk first)   └── approve, deny <── shown ──────────┘
//! ```
//!
//! [`Account::listen`] tells of challenges as they come, over drains and failures on the way.
//!
//! A [`Passphrase`] seals all accounts of a directory. [`StateDirectory::open`] then finds a [`LockedAgent`], which
//! can do nothing but become an [`Agent`].
//!
//! An agent may be used by several processes at once: each change of a file is made under a lock, and whole.
//!
//! ```no_run
//! # async fn example() -> Result<(), countersign_agent::Error> {
//! use countersign_agent::{Agent, Platform, UserVerification};
//!
//! let agent = Agent::open("/home/anna/.local/state/countersign-agent")?;
//! let offer = agent.inspect("https://login.example.org/device#v=1&t=...&k=...").await?;
//! println!("Add {} ({})?", offer.application_name(), offer.account_name());
//! let enrolled = agent.accept(&offer, "Anna's laptop", Platform::Desktop).await?;
//! if let Some(code) = enrolled.confirmation_code() {
//!     println!("Type {code} on the page with the QR code.");
//! }
//!
//! for challenge in enrolled.account.pending().await? {
//!     for line in challenge.shown() {
//!         println!("{}: {}", line.label, line.value);
//!     }
//!     let answer = enrolled.account.approve(&challenge, "042", UserVerification::None).await?;
//!     println!("{}: {answer}", challenge.id());
//! }
//! # Ok(())
//! # }
//! ```

mod account;
mod agent;
mod answer;
mod call;
mod challenge;
mod clock;
mod connection;
mod error;
mod offer;
mod random;
mod refusal;
mod server_keys;
mod state;
mod state_directory;

pub use account::{Account, AccountStatus, Event, News, OneTimeCode, Settled, Subscription};
pub use agent::{Agent, Enrolled};
pub use answer::{Answer, Denial};
pub use challenge::{Line, VerifiedChallenge};
pub use clock::{Clock, SystemClock};
pub use countersign_proto::{
    common::{ChallengeState, DenialReason, ErrorReason, Platform, PushState},
    device::AccountState,
    statement::{Detail, DeviceProfile, Purpose, PushTarget, UserVerification, push_target},
};
pub use error::{Distrust, Error, Refusal};
pub use offer::Offer;
pub use random::Random;
pub use state::{Passphrase, PassphraseFault, StateFault};
pub use state_directory::{LockedAgent, StateDirectory};
