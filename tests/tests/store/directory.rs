//! Applications, sealed values and server keys.

use countersign::store::{
    applications::{ApiKeyRow, Application},
    secrets::ServerKeyRow,
};
use countersign_domain::{id::ApplicationId, policy::Policy};

use crate::fixture::{START, Stores};

pub(crate) async fn a_name_is_taken_once(stores: Stores) {
    let (application, key) = stores.application(1, "Shop").await;
    let (other, _) = stores.application(2, "Bank").await;
    let thief = Application { id: ApplicationId::new(3, 3), ..application.clone() };
    let thiefs_key = ApiKeyRow { id: "key3".into(), tag: [3; 32] };
    assert_eq!(stores.applications.create(thief, thiefs_key).await, Ok(false));
    assert_eq!(stores.applications.by_key("key3".into()).await, Ok(None));
    // The same call again, after a lost answer, gets the same answer.
    assert_eq!(stores.applications.create(application.clone(), key.clone()).await, Ok(true));
    let stores = stores.reopened().await;
    assert_eq!(stores.applications.list().await, Ok(vec![other, application.clone()]));
    assert_eq!(stores.applications.by_key(key.id.clone()).await, Ok(Some((application, key))));
}

pub(crate) async fn keys_stand_side_by_side_and_each_is_removed_alone(stores: Stores) {
    let (application, first) = stores.application(1, "Shop").await;
    let (other, others) = stores.application(2, "Bank").await;
    let (shop, bank) = (application.id, other.id);
    let second = ApiKeyRow { id: "a-second".into(), tag: [9; 32] };
    assert_eq!(stores.applications.add_key(shop, second.clone()).await, Ok(true));
    let nobodys = ApiKeyRow { id: "nobodys".into(), tag: [8; 32] };
    assert_eq!(stores.applications.add_key(ApplicationId::new(3, 3), nobodys).await, Ok(false));
    assert_eq!(stores.applications.by_key("nobodys".into()).await, Ok(None));
    let ids = stores.applications.key_ids(shop).await.expect("an answer");
    assert_eq!(ids, [first.id.clone(), second.id.clone()], "in the order in which they were added");
    let found = stores.applications.by_key(second.id.clone()).await;
    assert_eq!(found, Ok(Some((application.clone(), second.clone()))));

    assert_eq!(
        stores.applications.remove_key(bank, first.id.clone()).await,
        Ok(false),
        "it is not the Bank's"
    );
    assert_eq!(stores.applications.remove_key(shop, first.id.clone()).await, Ok(true));
    assert_eq!(stores.applications.remove_key(shop, first.id.clone()).await, Ok(false));
    let stores = stores.reopened().await;
    assert_eq!(stores.applications.by_key(first.id).await, Ok(None));
    assert_eq!(stores.applications.by_key(second.id.clone()).await, Ok(Some((application, second))));
    assert_eq!(stores.applications.key_ids(bank).await, Ok(vec![others.id]));
}

pub(crate) async fn a_policy_is_replaced_only_if_it_is_the_one_that_was_read(stores: Stores) {
    let (application, _) = stores.application(1, "Shop").await;
    let old = application.policy.clone();
    let new = Policy { match_code_digits: 6, ..old.clone() };
    let set = |name: &str, old: &Policy, new: &Policy| {
        stores.applications.set_policy(name.into(), old.clone(), new.clone())
    };
    assert_eq!(set("Bank", &old, &new).await, Ok(false));
    assert_eq!(set("Shop", &old, &new).await, Ok(true));
    // Somebody else who had read the old one is late, whatever he wants instead.
    let other = Policy { match_code_digits: 4, ..old.clone() };
    for late in [&old, &other] {
        assert_eq!(set("Shop", &old, late).await, Ok(false));
    }
    let changed = Application { policy: new, ..application };
    assert_eq!(stores.reopened().await.applications.list().await, Ok(vec![changed]));
}

pub(crate) async fn the_first_sealed_value_stands_until_it_is_replaced(stores: Stores) {
    assert_eq!(stores.secrets.sealed("root").await, Ok(None));
    assert_eq!(stores.secrets.put_if_absent("root", vec![1]).await, Ok(vec![1]));
    assert_eq!(stores.secrets.put_if_absent("root", vec![2]).await, Ok(vec![1]));
    stores.secrets.replace("root", Some(vec![1]), vec![3]).await.expect("an answer");
    stores.secrets.replace("token", None, vec![4]).await.expect("an answer");
    let stores = stores.reopened().await;
    assert_eq!(stores.secrets.sealed("root").await, Ok(Some(vec![3])));
    assert_eq!(stores.secrets.sealed("token").await, Ok(Some(vec![4])));
}

pub(crate) async fn a_version_of_the_server_key_is_added_once(stores: Stores) {
    let key = |version, n| ServerKeyRow {
        version,
        sealed_key: vec![n],
        statement: vec![n, n],
        not_before: START,
        not_after: START.plus(std::time::Duration::from_hours(24)),
    };
    for (version, n, added) in [(2, 1, true), (1, 2, true), (2, 3, false)] {
        assert_eq!(stores.secrets.add_server_key(key(version, n)).await, Ok(added));
    }
    assert_eq!(stores.reopened().await.secrets.server_keys().await, Ok(vec![key(1, 2), key(2, 1)]));
}
