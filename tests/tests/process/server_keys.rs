//! `countersign server-key`: beside a running server.

use serde_json::Value;

use crate::{
    people::Application,
    program::{Place, soon},
};

async fn listed(place: &Place) -> Vec<Value> {
    let printed = place.run_configured(&["server-key", "list", "--json"]).await.succeeded();
    serde_json::from_str(&printed).expect("a JSON array")
}

fn field<'a>(keys: &'a [Value], name: &str) -> Vec<&'a Value> {
    keys.iter().map(|key| &key[name]).collect()
}

#[tokio::test]
async fn a_key_is_made_beside_a_running_server_whose_devices_and_receipts_go_on() {
    let place = Place::new("");
    let server = place.serve().await;
    let application = Application::create(&place, "Shop").await;
    let backend = application.connect(server.address).await;
    let device = backend.enroll("anna").await.expect("it is enrolled");
    let first = listed(&place).await;
    assert_eq!((field(&first, "version"), field(&first, "state")), (vec![&1.into()], vec![&"signs".into()]));

    let printed = place.run_configured(&["server-key", "rotate"]).await.succeeded();
    let keys = listed(&place).await;
    assert_eq!(keys[0], first[0]);
    assert_eq!(field(&keys, "version"), [&Value::from(1), &2.into()]);
    assert_eq!(field(&keys, "state"), [&Value::from("signs"), &"next".into()]);
    let [keyid, not_before] = ["keyid", "not_before"].map(|name| keys[1][name].as_str().expect("a text"));
    assert_eq!(
        printed,
        format!(
            "Made version 2  {keyid}\nIt signs from {not_before} on. Servers and devices take it by themselves.\n"
        )
    );
    let again = place.run_configured(&["server-key", "rotate"]).await.succeeded();
    let said = format!("Version 2 was made before and signs from {not_before} on: nothing was done.\n");
    assert_eq!(again, said);
    let again = place.run_configured(&["server-key", "rotate", "--json"]).await.succeeded();
    let mut again: Value = serde_json::from_str(&again).expect("JSON");
    assert_eq!(again["made"].take(), false);
    again.as_object_mut().expect("an object").remove("made");
    assert_eq!(again, keys[1]);
    let printed = place.run_configured(&["server-key", "list"]).await.succeeded();
    let lines: Vec<_> = printed.lines().collect();
    assert_eq!(lines[0], format!("server id  {}", server.id));
    assert!(lines[1].ends_with("  signs") && lines[2].ends_with("  next") && lines.len() == 3, "{printed}");

    // A server that starts now has both, and the device goes on.
    let address = server.address.to_string();
    server.stop().await;
    let server = place.serve_with(&["--listen", &address]).await;
    let backend = application.connect(server.address).await;
    let (challenge, match_code) = backend.create("anna", "attempt-1").await.expect("it is created");
    let answer = soon(device.reconnected().approve(&challenge.challenge_id, &match_code)).await;
    assert!(answer.expect("it counts").accepted);
    let redeemed = backend.redeem(&challenge.challenge_id, "anna", "attempt-1").await.expect("approved");
    let receipt = serde_json::to_vec(&redeemed.receipt).expect("JSON");
    place.write("receipt.json", receipt);
    let verify = ["receipt", "verify", "receipt.json", "--server-id", &server.id];
    let said = place.run(&verify).await.succeeded();
    assert!(said.starts_with("APPROVED at ") && said.contains("server key version 1"), "{said}");
    server.stop().await;
}
