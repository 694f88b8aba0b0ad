//! Each part of a receipt exchanged for the same part of another good receipt.

use countersign_proto::{
    envelope::EnvelopeFault,
    receipt::{Part, Refusal},
    statement::Receipt,
    trust::ServerKeyFault,
};

use super::{ReceiptCase, case};
use crate::fixture::Login;

/// How a part gets from the second receipt into the first.
type Exchange = fn(&mut Receipt, &Receipt);

/// The parts by their names.
const PARTS: [(&str, Exchange); 6] = [
    ("challenge", |to, from| to.challenge.clone_from(&from.challenge)),
    ("decision", |to, from| to.decision.clone_from(&from.decision)),
    ("settlement", |to, from| to.settlement.clone_from(&from.settlement)),
    ("binding", |to, from| to.binding.clone_from(&from.binding)),
    ("server key", |to, from| to.server_keys.clone_from(&from.server_keys)),
    ("root key", |to, from| to.root_key.clone_from(&from.root_key)),
];

pub(super) fn cases() -> Vec<ReceiptCase> {
    let challenge = || Some(Refusal::OtherChallenge(Part::Challenge));
    let settlement = || Some(Refusal::OtherChallenge(Part::Settlement));
    let foreign = |part| Some(Refusal::Envelope { part, fault: EnvelopeFault::KeyId });
    let mut cases = Vec::new();
    for (what, receipt) in [
        ("approved", Login::approved().receipt()),
        ("denied", Login::denied().receipt()),
        ("wrong match code", Login::wrong_match_code().receipt()),
    ] {
        let mut swap = |whose: &str, other: &Login, refusals: [Option<Refusal>; 6]| {
            let other = other.receipt();
            for ((part, exchange), refusal) in PARTS.into_iter().zip(refusals) {
                let mut swapped = receipt.clone();
                exchange(&mut swapped, &other);
                cases.push(case(format!("swapped: {what}, with {whose}'s {part}"), swapped, refusal));
            }
        };
        // Where nothing is refused, both receipts have the very same part.
        let binding = || Some(Refusal::OtherDevice(Part::Binding));
        let decision = foreign(Part::Decision);
        swap(
            "another user",
            &Login::of_other_user(),
            [challenge(), decision.clone(), settlement(), binding(), None, None],
        );
        let other_decision = Some(Refusal::OtherChallenge(Part::Decision));
        swap(
            "the same user's other challenge",
            &Login::of_other_challenge(),
            [challenge(), other_decision, settlement(), None, None, None],
        );
        let other_settlement = Some(Refusal::OtherDevice(Part::Settlement));
        swap(
            "the same user's other device",
            &Login::of_other_device(),
            [None, decision.clone(), other_settlement, binding(), None, None],
        );
        swap(
            "another server",
            &Login::of_other_server(),
            [
                foreign(Part::Challenge),
                decision,
                foreign(Part::Settlement),
                foreign(Part::Binding),
                Some(ServerKeyFault::Envelope(EnvelopeFault::KeyId).into()),
                Some(Refusal::RootKeyNotPinned),
            ],
        );
    }
    cases.extend([
        case(
            "swapped: all, with another server's",
            Login::of_other_server().receipt(),
            Refusal::RootKeyNotPinned,
        ),
        case("swapped: approval and denial, their settlements", approval_in_denial(), Refusal::OtherDecision),
    ]);
    cases
}

/// A denial, with the settlement of an approval of the same challenge.
fn approval_in_denial() -> Receipt {
    Receipt { settlement: Login::approved().receipt().settlement, ..Login::denied().receipt() }
}
