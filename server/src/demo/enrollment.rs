//! The phone is enrolled: link, offer, consent, confirmation code, push target.

use countersign_agent::{Enrolled, Offer};
use countersign_proto::login::EnrollmentState;

use super::{
    backend::Backend,
    columns::{Line, Style},
    error::DemoError,
    phone::{NewPhone, Phone},
    terminal::Terminal,
    wire::Traffic,
};
use crate::enrollment::qr_for_terminal;

/// Plays it, as often as it takes.
pub(super) async fn play(
    terminal: &mut Terminal,
    backend: &mut Backend,
    new_phone: NewPhone,
    traffic: &Traffic,
) -> Result<Phone, DemoError> {
    terminal.heading("A phone is enrolled");
    loop {
        let (enrollment_id, link) = backend.start_enrollment(None).await?;
        let offer = new_phone.scan(&link).await?;
        show_offer(terminal, &link, &offer);
        terminal.wire(traffic);
        consent(terminal).await?;
        let Enrolled { account, .. } = {
            let enrolled = new_phone.accept(&offer).await?;
            let code = enrolled.confirmation_code().ok_or(DemoError::Incomplete("confirmation code"))?;
            show_code(terminal, code);
            terminal.wire(traffic);
            if !confirmed(terminal, backend, &enrollment_id, code, traffic).await? {
                terminal.say(
                    Style::Bad,
                    "Three wrong codes, or too late: the page starts anew with another link.",
                );
                terminal.space();
                continue;
            }
            enrolled
        };
        let phone = new_phone.tell_push_target(account).await?;
        terminal.columns(
            &[Line::new(Style::Good, "The phone is added.")],
            &[Line::new(Style::Good, "Added, and told the server where to push.")],
        );
        terminal.wire(traffic);
        return Ok(phone);
    }
}

fn show_offer(terminal: &Terminal, link: &str, offer: &Offer) {
    terminal.say(Style::Plain, "The login page shows this link as a QR code, and the phone scans it:");
    terminal.say(Style::Faint, link);
    terminal.picture(&qr_for_terminal(link).unwrap_or_default());
    terminal.space();
    terminal.column_heads();
    let phone = [
        Line::new(Style::Strong, format!("Add {}?", offer.application_name())),
        Line::plain(format!("Account       {}", offer.account_name())),
        Line::plain(format!("Server        {} ({})", offer.server(), offer.server_id())).with_indent(14),
        Line::plain(format!("Link ends in  {} s", offer.time_left().as_secs())),
    ];
    terminal.columns(&[Line::plain("shows the QR code")], &phone);
}

async fn consent(terminal: &mut Terminal) -> Result<(), DemoError> {
    if !terminal.is_asking() {
        return Ok(());
    }
    terminal.space();
    let answer = terminal.ask("phone: add this account? [Y/n]").await?.to_lowercase();
    if matches!(answer.as_str(), "" | "y" | "yes") { Ok(()) } else { Err(DemoError::Declined) }
}

fn show_code(terminal: &Terminal, code: &str) {
    terminal.space();
    let phone = [
        Line::plain("Type this on the page with the QR code:"),
        Line::new(Style::Strong, format!("confirmation code {code}")),
    ];
    terminal.columns(&[Line::plain("asks for the code that the phone shows")], &phone);
}

/// Takes the code on the page. False: the tries are used up.
async fn confirmed(
    terminal: &mut Terminal,
    backend: &mut Backend,
    enrollment_id: &str,
    code: &str,
    traffic: &Traffic,
) -> Result<bool, DemoError> {
    terminal.space();
    loop {
        let typed = if terminal.is_asking() {
            terminal.ask("login page: the 6 digits that the phone shows?").await?
        } else {
            code.to_owned()
        };
        let confirmed = backend.confirm(enrollment_id, &typed).await;
        terminal.wire(traffic);
        match confirmed {
            Ok(EnrollmentState::Completed) => return Ok(true),
            Ok(EnrollmentState::Confirming) => {
                terminal.say(Style::Bad, "That is not what the phone shows. There are three tries.");
            }
            // Three wrong ones, or the link's time is over.
            Ok(_) => return Ok(false),
            Err(status) if terminal.is_asking() => terminal.say(Style::Bad, status.message()),
            Err(status) => return Err(status.into()),
        }
    }
}
