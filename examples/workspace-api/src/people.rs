//! The people of workspaces: their roles and what those allow, their passwords and their sessions.

use std::time::Duration;

use actix_apikey::{KeyFormat, KeyHasher, PlaintextKey, Problem, ScopeSet, Timestamp};
use actix_web::{http::StatusCode, rt::task::spawn_blocking};
use apikey_manager::{Actor, OrganizationId, Rights};
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use clap::ValueEnum;
use cookie::Cookie;
use serde::{Deserialize, Serialize};
use sqlx::{Any, Executor};
use tokio::sync::Semaphore;

use crate::records::{Done, Store, execute, invalid, rows, unavailable};

/// The name of the session's cookie.
pub(crate) const SESSION: &str = "workspace_session";
/// The duration of a session.
pub(crate) const LONGEST: Duration = Duration::from_secs(8 * 60 * 60);

/// The number of passwords that are hashed at once: each takes 19 MiB.
static HASHING: Semaphore = Semaphore::const_new(2);

/// A person's role in their workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// Manages keys and everybody.
    Owner,
    /// Manages keys, and everybody but owners.
    Admin,
    /// Sees who manages keys.
    Member,
}

/// A person, who belongs to one workspace.
#[derive(Clone, Serialize)]
pub(crate) struct Person {
    pub(crate) email: String,
    pub(crate) workspace: String,
    pub(crate) role: Role,
}

/// A request to sign in, and to choose another password.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignIn {
    email: String,
    password: String,
    new_password: Option<String>,
}

impl Role {
    fn manages(self, other: Role) -> bool {
        self == Role::Owner || (self == Role::Admin && other != Role::Owner)
    }
}

/// Returns the actor in the console. Without `keys:admin`, nobody can grant scopes to keys, so all keys are equal.
pub(crate) fn actor(email: &str, workspace: &str, role: Role) -> Option<Actor> {
    let scopes = if role == Role::Member { "" } else { "keys:write" };
    Actor::user(email, OrganizationId::new(workspace).ok()?, Rights::scopes(ScopeSet::parse(scopes).ok()?)).ok()
}

impl Store {
    /// Returns the person whose session is among the cookies, with the role that they have now. A new password ends the
    /// sessions that began with the old one.
    pub(crate) async fn who(&self, cookies: Option<&str>) -> Done<Option<Person>> {
        let Some(token) = cookies.and_then(session_of) else { return Ok(None) };
        let find = "SELECT person.email, person.workspace, person.role FROM workspace_session AS session
            JOIN workspace_person AS person ON person.email = session.email AND person.password = session.password
            WHERE session.token = $1 AND session.ends_at > $2";
        Ok(rows(&self.pool, find, [&token, &after(Duration::ZERO)]).await?.pop().map(person))
    }

    /// Begins a session, and returns its token.
    pub(crate) async fn sign_in(&self, SignIn { email, password, new_password }: SignIn) -> Done<PlaintextKey> {
        let email = email.trim().to_lowercase();
        let find = "SELECT password FROM workspace_person WHERE email = $1";
        let wrong = || Problem::new(StatusCode::FORBIDDEN, "wrong_password", "The address or the password is wrong.");
        let Some((known,)) = rows::<(String,), _>(&self.pool, find, [&email]).await?.pop() else {
            // Unknown people take as long to refuse as known ones.
            return hash(password).await.and_then(|_| Err(wrong()));
        };
        let (mut begun_with, stored) = (known.clone(), known.clone());
        let verify = move |argon2: Argon2<'_>| argon2.verify_password(password.as_bytes(), stored.as_str());
        in_turn(verify).await?.map_err(|_| wrong())?;
        if let Some(new) = new_password {
            if !(12..=200).contains(&new.chars().count()) {
                return Err(invalid("A password has 12 to 200 characters."));
            }
            begun_with = hash(new).await?;
            let set = "UPDATE workspace_person SET password = $1 WHERE email = $2 AND password = $3";
            execute(&self.pool, set, [&begun_with, &email, &known]).await?;
        }
        let token = secret("session")?;
        let begin = "INSERT INTO workspace_session (token, email, password, ends_at) VALUES ($1, $2, $3, $4)";
        execute(&self.pool, begin, [&digest(&token), &email, &begun_with, &after(LONGEST)]).await?;
        Ok(token)
    }

    /// Ends the session among the cookies, and those whose time is over.
    pub(crate) async fn sign_out(&self, cookies: Option<&str>) -> Done<()> {
        let token = cookies.and_then(session_of).unwrap_or_default();
        let end = "DELETE FROM workspace_session WHERE token = $1 OR ends_at <= $2";
        execute(&self.pool, end, [&token, &after(Duration::ZERO)]).await.map(drop)
    }

    /// Adds a person, gives them another role, or removes them (`None`). Returns the password of a new person, and of one
    /// whom the operator adds again. `by` is whoever asks, or `None` for the operator.
    pub(crate) async fn set(
        &self,
        by: Option<&Person>,
        (workspace, email): (&str, &str),
        role: Option<Role>,
    ) -> Done<Option<PlaintextKey>> {
        let email = &*email.trim().to_lowercase();
        if !email.contains('@') || actor(email, workspace, Role::Member).is_none() {
            return Err(invalid("This is no e-mail address, or no workspace."));
        }
        let was_here = people(&self.pool, workspace).await?.iter().any(|person| person.email == email);
        let (mut password, mut hashed) = (None, String::new());
        // Before the change begins, because others wait until it ends.
        if role.is_some_and(|role| by.is_none_or(|by| by.role.manages(role) && !was_here)) {
            hashed = hash(password.insert(secret("password")?).expose_secret().to_owned()).await?;
        }
        let mut change = self.begin(workspace).await?;
        let people = people(&mut *change, workspace).await?;
        let role_of = |email: &str| people.iter().find(|person| person.email == email).map(|person| person.role);
        let (old, leaves) = (role_of(email), role.is_none() && by.is_some_and(|by| by.email == email));
        // The role of whoever asks is read again, because it may have changed since the request began.
        let may = |other| by.is_none_or(|by| role_of(&by.email).is_some_and(|own| own.manages(other)));
        if !leaves && ![old, role].into_iter().flatten().all(may) {
            return Err(Problem::new(StatusCode::FORBIDDEN, "not_allowed", "Your role doesn't allow this."));
        }
        let owners = people.iter().filter(|person| person.role == Role::Owner).count();
        if old == Some(Role::Owner) && role != old && owners == 1 {
            return Err(Problem::new(StatusCode::CONFLICT, "last_owner", "A workspace keeps its last owner."));
        }
        let done = match role {
            None => {
                let remove = "DELETE FROM workspace_person WHERE email = $1 AND workspace = $2";
                execute(&mut *change, remove, [email, workspace]).await?
            }
            // Somebody else has removed them meanwhile.
            Some(_) if old.is_none() && password.is_none() => 0,
            Some(role) => {
                let set = "INSERT INTO workspace_person (email, workspace, role, password) VALUES ($1, $2, $3, $4)
                    ON CONFLICT (email) DO UPDATE SET role = excluded.role, password =
                    CASE excluded.password WHEN '' THEN workspace_person.password ELSE excluded.password END
                    WHERE workspace_person.workspace = excluded.workspace";
                execute(&mut *change, set, [email, workspace, &format!("{role:?}").to_lowercase(), &hashed]).await?
            }
        };
        if done == 0 {
            return Err(Problem::new(StatusCode::CONFLICT, "not_here", "This address is not one of this workspace."));
        }
        change.commit().await.map_err(unavailable)?;
        Ok(password)
    }
}

async fn hash(password: String) -> Done<String> {
    let hash = in_turn(move |argon2| argon2.hash_password(password.as_bytes())).await?;
    Ok(hash.map_err(unavailable)?.to_string())
}

/// Argon2id as OWASP says: 19 MiB, 2 iterations, 1 lane.
async fn in_turn<T: Send + 'static>(work: impl FnOnce(Argon2<'_>) -> T + Send + 'static) -> Done<T> {
    let turn = HASHING.acquire().await.map_err(unavailable)?;
    // Hashing goes on if nobody waits for it any more, and its turn lasts as long.
    spawn_blocking(move || (work(Argon2::default()), turn).0).await.map_err(unavailable)
}

pub(crate) async fn people(on: impl Executor<'_, Database = Any>, workspace: &str) -> Done<Vec<Person>> {
    let list = "SELECT email, workspace, role FROM workspace_person WHERE workspace = $1 ORDER BY email";
    Ok(rows(on, list, [workspace]).await?.into_iter().map(person).collect())
}

fn person((email, workspace, role): (String, String, String)) -> Person {
    Person { email, workspace, role: Role::from_str(&role, false).unwrap_or(Role::Member) }
}

/// Passwords and tokens are random, and recognizable as API keys are.
pub(crate) fn secret(prefix: &str) -> Done<PlaintextKey> {
    KeyFormat::builder(prefix).build().map_err(unavailable)?.generate().map_err(unavailable)
}

/// Returns the digest of the session's token among the cookies.
fn session_of(cookies: &str) -> Option<String> {
    let mut cookies = Cookie::split_parse(cookies).filter_map(Result::ok);
    Some(digest(&cookies.find(|cookie| cookie.name() == SESSION)?.value().parse().ok()?))
}

/// The database has digests of tokens, so that nobody who reads it has a session.
fn digest(token: &PlaintextKey) -> String {
    KeyHasher::sha256().digest(token).to_string()
}

/// Texts of times sort as the times do.
fn after(time: Duration) -> String {
    format!("{:.0}", Timestamp::now() + time)
}
