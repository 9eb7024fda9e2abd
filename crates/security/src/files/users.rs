//! `users` (`name:hash`) and `users_roles` (`role:user1,user2`).

use super::FileProblem;
use super::lines::Lines;
use super::rules::{check_role_name, check_username};
use crate::hash::check_stored;

/// The users of the file realm and their password hashes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsersFile(Lines);

impl UsersFile {
    /// Reads the text of a file. Lines with a bad name or hash are problems; they are kept and ignored.
    pub fn parse(text: &str) -> (Self, Vec<FileProblem>) {
        let (lines, problems) = Lines::parse(
            text,
            |name, hash| {
                check_username(name)?;
                check_stored(hash).map_err(|error| format!("user [{name}]: {error}"))
            },
            |_, _| None,
        );
        (Self(lines), problems)
    }

    /// Returns the stored hash of a user's password.
    pub fn hash(&self, username: &str) -> Option<&str> {
        self.0.get(username)
    }

    /// Returns the names of the users in the order of the file.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.entries().map(|(name, _)| name)
    }

    /// Adds a user or replaces its hash.
    pub fn put(&mut self, username: &str, hash: &str) {
        self.0.put(username, hash);
    }

    /// Removes a user. Returns whether it was there.
    pub fn remove(&mut self, username: &str) -> bool {
        self.0.remove(username)
    }

    /// Returns the text to write.
    pub fn render(&self) -> String {
        self.0.render()
    }
}

/// Which users of the file realm have which roles.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsersRolesFile(Lines);

impl UsersRolesFile {
    /// Reads the text of a file. Lines with a bad role name are problems; they are kept and ignored.
    pub fn parse(text: &str) -> (Self, Vec<FileProblem>) {
        let (lines, problems) = Lines::parse(
            text,
            |role, _| check_role_name(role),
            |first, second| Some(format!("{first},{second}")),
        );
        (Self(lines), problems)
    }

    /// Returns the roles of a user in the order of the file.
    pub fn roles(&self, username: &str) -> Vec<String> {
        self.0
            .entries()
            .filter(|(_, users)| split(users).any(|user| user == username))
            .map(|(role, _)| role.to_owned())
            .collect()
    }

    /// Gives a user exactly these roles. A role that nobody has any more is removed.
    pub fn set_roles(&mut self, username: &str, roles: &[String]) {
        let known: Vec<(String, Vec<String>)> = self
            .0
            .entries()
            .map(|(role, users)| (role.to_owned(), split(users).map(str::to_owned).collect()))
            .collect();
        for (role, mut users) in known {
            let had = users.iter().any(|user| user == username);
            let has = roles.contains(&role);
            if had == has {
                continue;
            }
            match has {
                true => users.push(username.to_owned()),
                false => users.retain(|user| user != username),
            }
            match users.is_empty() {
                true => drop(self.0.remove(&role)),
                false => self.0.put(&role, &users.join(",")),
            }
        }
        for role in roles {
            if self.0.get(role).is_none() {
                self.0.put(role, username);
            }
        }
    }

    /// Returns the text to write.
    pub fn render(&self) -> String {
        self.0.render()
    }
}

fn split(users: &str) -> impl Iterator<Item = &str> {
    users
        .split(',')
        .map(str::trim)
        .filter(|user| !user.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HASH: &str = "$2a$10$vI8aWBnW3fID.ZQ4/zo1G.q1lRps.9cGLcZEiGDMVr5yUP1KUOYTa";

    #[test]
    fn users_survive_with_comments_and_bad_lines_around() {
        let text = format!("# who\nann:{HASH}\nbroken\n\nelastic:{HASH}\nbob:clear\nann:{HASH}\n");
        let (mut users, problems) = UsersFile::parse(&text);
        assert_eq!(users.names().collect::<Vec<_>>(), ["ann"]);
        let lines: Vec<usize> = problems.iter().map(|problem| problem.line).collect();
        assert_eq!(lines, [3, 5, 6, 7]);
        assert!(
            problems
                .iter()
                .all(|problem| !problem.reason.contains("clear"))
        );
        // The second line of ann would let her in again once the first is removed.
        let second = text.rfind("ann:").unwrap();
        assert_eq!(users.render(), text[..second]);
        users.put("cid", HASH);
        assert!(users.remove("ann") && !users.remove("ann"));
        assert_eq!(users.hash("cid"), Some(HASH));
        let rendered = users.render();
        assert!(
            rendered.starts_with("# who\nbroken\n") && rendered.ends_with(&format!("cid:{HASH}\n"))
        );
    }

    #[test]
    fn roles_are_given_and_taken() {
        let (mut roles, problems) = UsersRolesFile::parse("admin:ann, bob\n# x\nviewer : bob\n");
        assert_eq!(problems, []);
        assert_eq!(roles.roles("bob"), ["admin", "viewer"]);
        roles.set_roles("bob", &["editor".to_owned(), "viewer".to_owned()]);
        roles.set_roles("ann", &[]);
        assert_eq!(roles.render(), "# x\nviewer:bob\neditor:bob\n");
        assert_eq!(roles.roles("ann"), Vec::<String>::new());
    }

    proptest! {
        #[test]
        fn any_text_is_read_and_what_is_written_reads_the_same(text in "[a-z:#,$\\n \\r\\t.é]{0,200}") {
            let users = UsersFile::parse(&text).0.render();
            prop_assert_eq!(UsersFile::parse(&users).0.render(), users);
            let roles = UsersRolesFile::parse(&text).0.render();
            prop_assert_eq!(UsersRolesFile::parse(&roles).0.render(), roles);
        }

        #[test]
        fn roles_are_what_was_set(
            text in "([ab]:[xyz](,[xyz]){0,2}\\n){0,3}",
            user in "[xyz]",
            given in proptest::collection::btree_set("[abc]", 0..3),
        ) {
            let (mut roles, _) = UsersRolesFile::parse(&text);
            let given: Vec<String> = given.into_iter().collect();
            let others: Vec<_> = ["x", "y", "z"].into_iter().filter(|other| *other != user)
                .map(|other| (other, roles.roles(other))).collect();
            roles.set_roles(&user, &given);
            let (read, problems) = UsersRolesFile::parse(&roles.render());
            let mut found = read.roles(&user);
            found.sort();
            prop_assert_eq!(found, given);
            for (other, before) in others {
                prop_assert_eq!(read.roles(other), before);
            }
            prop_assert!(problems.len() <= 3);
        }
    }
}
