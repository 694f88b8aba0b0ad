//! What a device shows is what was asked, field by field.

use countersign_agent::{Purpose, VerifiedChallenge};
use countersign_proto::{
    common::ErrorReason,
    login::LoginSource,
    receipt::attempt_digest,
    statement::{Detail, DetailKind},
};

use crate::world::{World, asking, at, redeeming, refused, refused_field};

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

fn detail(kind: DetailKind, label: &str, value: &str) -> Detail {
    Detail { kind: kind.into(), label: label.to_owned(), value: value.to_owned() }
}

#[tokio::test]
async fn source_message_and_details_come_to_the_device_in_their_order() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll(&backend, "anna").await;
    let mut request = asking("anna", "attempt-1");
    request.binding_message = "Pay 12 €".to_owned();
    request.source = Some(LoginSource {
        ip_address: "2001:DB8:0::1".to_owned(),
        user_agent: FIREFOX.to_owned(),
        location: "Bern, Switzerland".to_owned(),
    });
    request.details = vec![
        detail(DetailKind::Unspecified, "Order", "4711"),
        detail(DetailKind::Unspecified, "Order", "<b>twice</b>"),
    ];
    request.set_purpose(Purpose::Action);
    let (challenge, _) = backend.create_as(request).await;
    let shown = device.account.challenge(&challenge.challenge_id).await.expect("it was asked");
    assert_eq!(
        shown.details(),
        [
            detail(DetailKind::BindingMessage, "Message", "Pay 12 €"),
            detail(DetailKind::IpAddress, "IP address", "2001:db8::1"),
            detail(DetailKind::Location, "Location", "Bern, Switzerland"),
            detail(DetailKind::Browser, "Browser", "Firefox 140 on Linux"),
            detail(DetailKind::Unspecified, "Order", "4711"),
            detail(DetailKind::Unspecified, "Order", "<b>twice</b>"),
        ]
    );
    assert_eq!(shown.purpose(), Purpose::Action);
    assert_eq!(shown.application_name(), "Shop");
    assert_eq!(shown.account_name(), "anna@example.org");
    assert_eq!(shown.statement().application_id, backend.application_id);
    assert_eq!(shown.statement().user_id, "anna");
    assert_eq!(shown.statement().server_id, world.server_id());
    assert_eq!(shown.statement().attempt_sha256, attempt_digest("attempt-1"));
    assert_eq!((shown.created_at(), shown.expires_at()), (at(0), at(120)));
    assert_eq!((shown.match_code_digits(), shown.user_verification_required()), (3, false));
    let listed = device.account.pending().await.expect("it can be asked");
    assert_eq!(listed.iter().map(VerifiedChallenge::statement).collect::<Vec<_>>(), [shown.statement()]);
}

#[tokio::test]
async fn nothing_is_shown_that_was_not_said() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll(&backend, "anna").await;
    let (challenge, _) = backend.create("anna", "attempt-1").await;
    let shown = device.account.challenge(&challenge.challenge_id).await.expect("it was asked");
    assert_eq!(shown.details(), []);
    assert_eq!(shown.purpose(), Purpose::Login);
}

#[tokio::test]
async fn an_approval_serves_its_purpose_only() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    for purpose in [Purpose::Login, Purpose::ManageFactors, Purpose::Action] {
        let attempt = purpose.as_str_name();
        let mut request = asking("anna", attempt);
        request.set_purpose(purpose);
        let (challenge, match_code) = backend.create_as(request).await;
        let asked = device.challenge(&world, &challenge.challenge_id).await.expect("it was asked");
        device.respond(&device.approval(&asked, &match_code)).await.expect("it counts");
        let mut redemption = redeeming(&challenge.challenge_id, "anna", attempt);
        for other in [Purpose::Unspecified, Purpose::Login, Purpose::ManageFactors, Purpose::Action] {
            redemption.set_purpose(other);
            let redeemed = backend.try_redeem(redemption.clone()).await;
            let meant = if other == Purpose::Unspecified { Purpose::Login } else { other };
            if meant == purpose {
                redeemed.expect("its own purpose");
            } else {
                refused(redeemed, ErrorReason::NotYourApproval);
            }
        }
    }
}

#[tokio::test]
async fn what_could_deceive_on_a_screen_is_refused_by_its_field() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    world.enroll_by_hand(&backend, "anna", 1).await;
    let source = |change: fn(&mut LoginSource)| {
        let mut request = asking("anna", "attempt-1");
        change(request.source.insert(LoginSource::default()));
        request
    };
    let details = |details: Vec<Detail>| {
        let mut request = asking("anna", "attempt-1");
        request.details = details;
        request
    };
    let plain = |label: &str, value: &str| detail(DetailKind::Unspecified, label, value);
    let mut message = asking("anna", "attempt-1");
    message.binding_message = "a\u{202e}b".to_owned();
    let mut long_message = asking("anna", "attempt-1");
    long_message.binding_message = "a".repeat(257);
    let mut purpose = asking("anna", "attempt-1");
    purpose.purpose = 99;
    for (request, field) in [
        (message, "binding_message"),
        (long_message, "binding_message"),
        (purpose, "purpose"),
        (source(|source| "10.0.0".clone_into(&mut source.ip_address)), "source.ip_address"),
        (source(|source| "a\nb".clone_into(&mut source.location)), "source.location"),
        (source(|source| "a\u{1b}[2J".clone_into(&mut source.user_agent)), "source.user_agent"),
        (source(|source| source.user_agent = "a".repeat(513)), "source.user_agent"),
        (details(vec![plain("a", "b"), plain("", "b")]), "details[1].label"),
        (details(vec![plain(&"a".repeat(37), "b")]), "details[0].label"),
        (details(vec![plain("a", "\u{2028}")]), "details[0].value"),
        (details(vec![detail(DetailKind::IpAddress, "a", "b")]), "details[0].kind"),
        (details(vec![plain("a", "b"); 11]), "details"),
        (asking("", "attempt-1"), "user_id"),
        (asking(&"u".repeat(257), "attempt-1"), "user_id"),
        (asking("anna", ""), "attempt_id"),
        (asking("anna", &"a".repeat(129)), "attempt_id"),
    ] {
        refused_field(backend.try_create(request).await, field);
    }
}
