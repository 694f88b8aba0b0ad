//! A state directory with its accounts, and the way to a new one.

use std::{fmt, path::Path, sync::Arc};

use countersign_proto::{
    common::Platform,
    device::{EnrollRequest, EnrollResponse, GetOfferRequest},
    envelope,
    key::{SigningKey, VerificationKey},
    link::PairingLink,
    statement::EnrollmentStatement,
    statement_form::Statement as _,
    text,
};
use data_encoding::HEXLOWER;
use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    account::Account,
    challenge::VerifiedChallenge,
    clock::{Clock, SystemClock},
    connection::{self, Client},
    error::Error,
    offer::{self, Offer},
    random::Random,
    refusal,
    state::{Record, SecretKey, Store, Totp},
    state_directory::StateDirectory,
};

/// A device with its accounts, none of them locked. Cloning it is cheap.
#[derive(Clone)]
pub struct Agent {
    pub(crate) store: Arc<Store>,
    pub(crate) clock: Arc<dyn Clock>,
    ca_pem: Option<Arc<[u8]>>,
}

/// A new account.
#[derive(Debug)]
pub struct Enrolled {
    /// It can answer once the person has confirmed it.
    pub account: Account,
    confirmation_code: SecretString,
}

impl Agent {
    /// Opens a state directory that no passphrase locks, and makes it (0700) when it is missing. Others are opened by
    /// [`StateDirectory::open`]; here they are [`StateFault::Locked`](crate::StateFault::Locked).
    pub fn open(state_directory: impl AsRef<Path>) -> Result<Self, Error> {
        match StateDirectory::open(state_directory)? {
            StateDirectory::Open(agent) => Ok(agent),
            StateDirectory::Locked(locked) => Err(locked.fault().into()),
        }
    }

    pub(crate) fn on(store: Store) -> Self {
        Self { store: Arc::new(store), clock: Arc::new(SystemClock), ca_pem: None }
    }

    pub(crate) fn moved_to(&self, store: Store) -> Self {
        Self { store: Arc::new(store), ..self.clone() }
    }

    /// Trusts a certificate authority beside the system's: one or more certificates in PEM form.
    pub fn with_ca_pem(mut self, pem: &[u8]) -> Result<Self, Error> {
        connection::check_ca(pem)?;
        self.ca_pem = Some(pem.into());
        Ok(self)
    }

    /// Takes the time from `clock` instead of the machine.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Takes new keys, and the nonces that seal files, from `random` instead of the operating system.
    #[must_use]
    pub fn with_random(mut self, random: Arc<dyn Random>) -> Self {
        self.store = Arc::new(self.store.with_random(random));
        self
    }

    /// Asks what a pairing link is for, and verifies the answer by the root key in the link.
    ///
    /// Nothing is kept and nothing is agreed to: show the offer and ask the person.
    pub async fn inspect(&self, link: &str) -> Result<Offer, Error> {
        let link: PairingLink = link.parse()?;
        let mut client = self.client(link.api_origin())?;
        let request = GetOfferRequest { token: link.token.reveal().to_owned() };
        let answer =
            client.get_offer(request).await.map_err(|status| refusal::error(link.api_origin(), &status))?;
        offer::verify(link, answer.into_inner(), self.clock.now())
    }

    /// Accepts an offer that the person agreed to, with a fresh key.
    ///
    /// The key is on disk before it is sent. So when the answer is lost, accepting the same offer again (also
    /// by another [`Agent::inspect`] of the same link) brings the same account. `device_name` has 1 to 64
    /// characters.
    pub async fn accept(
        &self,
        offer: &Offer,
        device_name: &str,
        platform: Platform,
    ) -> Result<Enrolled, Error> {
        let fresh = SecretKey::generate(self.store.random());
        enrollment(offer, device_name, platform, &fresh.signing_key()).check()?;
        let name = HEXLOWER.encode(&offer.digest);
        let record = self.store.read_or_create(&name, || Record::of_offer(offer, fresh, device_name))?;
        let key = record.secret_key.signing_key();
        let statement = enrollment(offer, device_name, platform, &key);
        let request = EnrollRequest {
            token: offer.link.token.reveal().to_owned(),
            public_key: statement.public_key.clone(),
            enrollment: Some(envelope::sign(&statement, &key)),
        };
        let mut client = self.client(offer.server())?;
        let answer =
            client.enroll(request).await.map_err(|status| refusal::error(offer.server(), &status))?;
        self.keep_enrolled(name, offer, answer.into_inner())
    }

    /// All accounts that the server has answered for, in the order of their files.
    pub fn accounts(&self) -> Result<Vec<Account>, Error> {
        let names = self.store.names()?;
        names.into_iter().filter_map(|name| Account::open(self, name).transpose()).collect()
    }

    /// The account with this device id (`dev_...`).
    pub fn account(&self, device_id: &str) -> Result<Account, Error> {
        let mut accounts = self.accounts()?.into_iter();
        accounts
            .find(|account| account.device_id() == device_id)
            .ok_or_else(|| Error::AccountNotFound(device_id.to_owned()))
    }

    /// Looks for a challenge in all accounts.
    ///
    /// All are asked: a server that cannot be asked, or that sends what does not hold, hides nothing that another
    /// has; and one that claims another's challenge id for its own is found out.
    pub async fn find_challenge(&self, challenge_id: &str) -> Result<(Account, VerifiedChallenge), Error> {
        let mut found: Option<(Account, VerifiedChallenge)> = None;
        let mut failure = Error::ChallengeNotFound(challenge_id.to_owned());
        for account in self.accounts()? {
            // Of one server it is one challenge, whichever of its accounts was asked.
            if found.as_ref().is_some_and(|(first, _)| first.server_id() == account.server_id()) {
                continue;
            }
            match account.challenge(challenge_id).await {
                Ok(_) if found.is_some() => return Err(Error::SeveralChallenges(challenge_id.to_owned())),
                Ok(challenge) => found = Some((account, challenge)),
                Err(Error::ChallengeNotFound(_)) => {}
                // That something is wrong with it says more than that somebody was not there.
                Err(_) if matches!(failure, Error::Untrusted(_)) => {}
                Err(error) => failure = error,
            }
        }
        found.ok_or(failure)
    }

    pub(crate) fn client(&self, origin: &str) -> Result<Client, Error> {
        connection::client(origin, self.ca_pem.as_deref())
    }

    /// A number from 0 to 1, by chance.
    pub(crate) fn share(&self) -> f64 {
        let mut bytes = [0; 4];
        self.store.random().fill(&mut bytes);
        f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX)
    }

    fn keep_enrolled(&self, name: String, offer: &Offer, answer: EnrollResponse) -> Result<Enrolled, Error> {
        /// Ids are shorter than 64 characters.
        const MAX_ID_CHARS: usize = 128;
        let unintelligible = |problem: &str| Error::Unintelligible {
            origin: offer.server().to_owned(),
            problem: problem.to_owned(),
        };
        let account = answer.account.unwrap_or_default();
        if text::check_required(&account.device_id, MAX_ID_CHARS).is_err() {
            return Err(unintelligible("it enrolled the device without an id"));
        }
        let code = answer.confirmation_code;
        if !matches!(code.len(), 0 | 6) || !code.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(unintelligible("its confirmation code is not 6 digits"));
        }
        let kept = self.store.update(&name, |record| {
            if record.device_id.as_ref().is_some_and(|known| *known != account.device_id) {
                return Err(unintelligible("it gave the same key another device id"));
            }
            record.keep_account(&account);
            record.device_id = Some(account.device_id.clone());
            // Told until the enrolment has ended; what is known stays.
            if let Some(totp) = answer.totp.as_ref().and_then(Totp::of_answer) {
                record.totp = Some(totp);
            }
            Ok(())
        })?;
        let not_found = || Error::AccountNotFound(account.device_id.clone());
        kept.ok_or_else(not_found)?;
        let account = Account::open(self, name)?.ok_or_else(not_found)?;
        Ok(Enrolled { account, confirmation_code: code.into() })
    }
}

/// What the new key signs to accept `offer`.
fn enrollment(offer: &Offer, device_name: &str, platform: Platform, key: &SigningKey) -> EnrollmentStatement {
    EnrollmentStatement {
        server_id: offer.server_id().to_owned(),
        offer_sha256: offer.digest.to_vec(),
        public_key: Some(VerificationKey::of(key).to_wire()),
        device_name: device_name.to_owned(),
        platform: platform.into(),
    }
}

impl Enrolled {
    /// 6 digits that the person types on the page with the QR code; none when the policy asks for none.
    pub fn confirmation_code(&self) -> Option<&str> {
        let code = self.confirmation_code.expose_secret();
        if code.is_empty() { None } else { Some(code) }
    }
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agent").finish_non_exhaustive()
    }
}
