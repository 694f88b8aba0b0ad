//! Applications and their keys.

use countersign_domain::{id::ApplicationId, policy::Policy};
use rusqlite::{Connection, Row, params};

use super::{
    SqliteStore,
    columns::{all, execute, optional, parsed, time},
    failure::{Failure, Outcome},
};
use crate::store::{
    StoreFuture,
    applications::{ApiKeyRow, Application, Applications},
};

impl Applications for SqliteStore {
    fn create(&self, application: Application, key: ApiKeyRow) -> StoreFuture<'_, bool> {
        self.write("applications.create", move |connection, _| create(connection, &application, &key))
    }

    fn set_policy(&self, name: String, old: Policy, new: Policy) -> StoreFuture<'_, bool> {
        self.write("applications.set_policy", move |connection, _| {
            let by_name = "SELECT policy FROM applications WHERE name = ?1";
            let current = optional(connection, by_name, [&name], |row| policy(row, 0))?;
            if current.as_ref() != Some(&old) {
                return Ok(false);
            }
            let update = "UPDATE applications SET policy = ?2 WHERE name = ?1";
            execute(connection, update, params![name, written(&new)?])?;
            Ok(true)
        })
    }

    fn list(&self) -> StoreFuture<'_, Vec<Application>> {
        self.read("applications.list", |connection, _| {
            let list = "SELECT id, name, policy, created_at FROM applications ORDER BY name";
            all(connection, list, [], application)
        })
    }

    fn by_id(&self, id: ApplicationId) -> StoreFuture<'_, Option<Application>> {
        self.read("applications.by_id", move |connection, _| {
            let by_id = "SELECT id, name, policy, created_at FROM applications WHERE id = ?1";
            optional(connection, by_id, [id.to_string()], application)
        })
    }

    fn add_key(&self, application: ApplicationId, key: ApiKeyRow) -> StoreFuture<'_, bool> {
        self.write("applications.add_key", move |connection, _| {
            let insert = "INSERT INTO api_keys (id, application_id, tag)
                SELECT ?1, id, ?3 FROM applications WHERE id = ?2";
            Ok(execute(connection, insert, params![key.id, application.to_string(), key.tag])? == 1)
        })
    }

    fn key_ids(&self, application: ApplicationId) -> StoreFuture<'_, Vec<String>> {
        self.read("applications.key_ids", move |connection, _| {
            let ids = "SELECT id FROM api_keys WHERE application_id = ?1 ORDER BY rowid";
            all(connection, ids, [application.to_string()], |row| Ok(row.get(0)?))
        })
    }

    fn remove_key(&self, application: ApplicationId, key_id: String) -> StoreFuture<'_, bool> {
        self.write("applications.remove_key", move |connection, _| {
            let delete = "DELETE FROM api_keys WHERE id = ?1 AND application_id = ?2";
            Ok(execute(connection, delete, params![key_id, application.to_string()])? == 1)
        })
    }

    fn by_key(&self, key_id: String) -> StoreFuture<'_, Option<(Application, ApiKeyRow)>> {
        self.read("applications.by_key", move |connection, _| {
            let by_key = "SELECT applications.id, name, policy, created_at, tag
                FROM api_keys JOIN applications ON applications.id = application_id WHERE api_keys.id = ?1";
            optional(connection, by_key, [&key_id], |row| {
                Ok((application(row)?, ApiKeyRow { id: key_id.clone(), tag: row.get(4)? }))
            })
        })
    }
}

fn create(connection: &Connection, application: &Application, key: &ApiKeyRow) -> Outcome<bool> {
    let insert = "INSERT INTO applications (id, name, policy, created_at) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT (name) DO NOTHING";
    let id = application.id.to_string();
    let policy = written(&application.policy)?;
    let params = params![id, application.name, policy, application.created_at.as_millis()];
    if execute(connection, insert, params)? == 1 {
        let insert = "INSERT INTO api_keys (id, application_id, tag) VALUES (?1, ?2, ?3)";
        execute(connection, insert, params![key.id, id, key.tag])?;
        return Ok(true);
    }
    // The name may be taken by this very call, made before, whose answer was lost.
    let ours = "SELECT 1 FROM api_keys JOIN applications ON applications.id = application_id
        WHERE api_keys.id = ?1 AND tag = ?2 AND applications.id = ?3 AND name = ?4";
    let again = optional(connection, ours, params![key.id, key.tag, id, application.name], |_| Ok(()))?;
    Ok(again.is_some())
}

fn application(row: &Row<'_>) -> Outcome<Application> {
    Ok(Application {
        id: parsed(row, 0)?,
        name: row.get(1)?,
        policy: policy(row, 2)?,
        created_at: time(row, 3)?,
    })
}

fn policy(row: &Row<'_>, column: usize) -> Outcome<Policy> {
    let text = row.get_ref(column)?.as_str().map_err(|_| Failure::Damaged("a policy"))?;
    serde_json::from_str(text).map_err(|_| Failure::Damaged("a policy"))
}

fn written(policy: &Policy) -> Outcome<String> {
    serde_json::to_string(policy).map_err(|_| Failure::Damaged("a policy"))
}
