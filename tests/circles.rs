//! Reports files of a crate that import each other in a circle, and checks that no circle crosses rooms.
//!
//! A room is a file or folder directly under `src`. A circle within a room is one subject in several files. A circle
//! across rooms means that neither can be understood without the other.

#![expect(clippy::unwrap_used, reason = "test helpers may panic")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A module's path in its crate, such as `["cache", "entry"]`; the root is empty.
type Module = Vec<String>;

/// A path in a file: `crate::…`, `self::…`, `super::…`, or the beginning of a `use`.
struct Mention {
    path: Vec<String>,
    /// The name that a `use` gives it: `*` for everything.
    name: Option<String>,
}

/// The files of a crate by module, with the paths in each.
struct Sources(BTreeMap<Module, Vec<Mention>>);

impl Sources {
    fn of(folder: &Path) -> Self {
        let mut sources = Sources(BTreeMap::new());
        sources.read(&folder.join("src"), &[]);
        sources
    }

    fn read(&mut self, folder: &Path, module: &[String]) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let inner: Module = module.iter().cloned().chain([stem.clone()]).collect();
            if path.is_dir() {
                self.read(&path, &inner);
            } else if path.extension().is_some_and(|extension| extension == "rs") && stem != "tests" {
                let is_own = matches!(stem.as_str(), "mod" | "lib");
                let tokens: TokenStream = fs::read_to_string(&path).unwrap().parse().unwrap();
                let mut mentions = Vec::new();
                scan(tokens, &mut mentions);
                self.0.insert(if is_own { module.to_vec() } else { inner }, mentions);
            }
        }
    }

    /// Returns the file that a path in `from` leads to, across re-exports.
    fn resolve(&self, from: &Module, path: &[String], depth: usize) -> Option<Module> {
        let mut at = from.clone();
        let mut rest = path;
        match path.first()?.as_str() {
            "crate" => (at, rest) = (Module::new(), &path[1..]),
            "self" => rest = &path[1..],
            "super" => {}
            first if self.0.contains_key(&child(from, first)) => {}
            _ => return None,
        }
        while let Some((first, more)) = rest.split_first() {
            if first == "super" {
                at.pop();
            } else if self.0.contains_key(&child(&at, first)) {
                at.push(first.clone());
            } else {
                return Some(self.definition(&at, first, depth).unwrap_or(at));
            }
            rest = more;
        }
        Some(at)
    }

    /// Returns the file that defines the `name` that `module` imports with a `use`.
    fn definition(&self, module: &Module, name: &str, depth: usize) -> Option<Module> {
        let mentions = self.0[module].iter().filter(|mention| mention.name.as_deref() == Some(name));
        let paths = mentions.map(|mention| &mention.path);
        paths.filter_map(|path| self.resolve(module, path, depth.checked_sub(1)?)).find(|found| found != module)
    }

    /// Returns the files that each file imports from.
    fn imports(&self) -> BTreeMap<&Module, BTreeSet<Module>> {
        let of = |(module, mentions): (_, &Vec<Mention>)| {
            let found = mentions.iter().filter_map(|mention| self.resolve(module, &mention.path, 9));
            (module, found.filter(|found| found != module).collect())
        };
        self.0.iter().map(of).collect()
    }

    /// Returns the groups of files that all import each other, directly or indirectly.
    fn circles(&self) -> Vec<BTreeSet<Module>> {
        let imports = self.imports();
        let reached = |start: &Module| {
            let (mut seen, mut open) = (BTreeSet::new(), vec![start.clone()]);
            while let Some(module) = open.pop() {
                open.extend(imports[&module].iter().filter(|next| seen.insert((*next).clone())).cloned());
            }
            seen
        };
        let reached: BTreeMap<&Module, _> = self.0.keys().map(|module| (module, reached(module))).collect();
        let circle = |module: &Module| {
            let both = |other: &&Module| reached[*other].contains(module) && reached[module].contains(*other);
            self.0.keys().filter(both).cloned().collect::<BTreeSet<_>>()
        };
        let circles: BTreeSet<_> = self.0.keys().map(circle).filter(|circle| circle.len() > 1).collect();
        circles.into_iter().collect()
    }
}

fn child(module: &Module, name: &str) -> Module {
    module.iter().cloned().chain([name.to_owned()]).collect()
}

/// Finds the paths in `tokens`, except in test code.
fn scan(tokens: TokenStream, mentions: &mut Vec<Mention>) {
    let tokens: Vec<_> = tokens.into_iter().collect();
    let text = |at: usize| tokens.get(at).map(ToString::to_string).unwrap_or_default();
    let mut at = 0;
    while at < tokens.len() {
        match text(at).as_str() {
            "#" if text(at + 1).replace(' ', "") == "[cfg(test)]" => {
                at += 2;
                let ends = |token: &TokenTree| match token {
                    TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
                    token => token.to_string() == ";",
                };
                while at < tokens.len() && !ends(&tokens[at]) {
                    at += 1;
                }
            }
            "mod" if matches!(tokens.get(at + 2), Some(TokenTree::Group(_))) => {
                let mut inner = Vec::new();
                at += 2;
                if let TokenTree::Group(group) = &tokens[at] {
                    scan(group.stream(), &mut inner);
                }
                // Inline modules belong to the file, so `super` is one level less.
                inner.retain(|mention| mention.path[0] != "self");
                for Mention { mut path, name } in inner {
                    if path[0] == "super" {
                        path[0] = "self".to_owned();
                    }
                    mentions.push(Mention { path, name });
                }
            }
            "use" => {
                let length = tokens[at..].iter().position(|token| token.to_string() == ";").unwrap_or(0);
                tree(&tokens[at + 1..at + length.max(1)], &[], mentions);
                at += length;
            }
            "crate" | "self" | "super" if text(at + 1) == ":" && text(at + 2) == ":" => {
                let mut path = vec![text(at)];
                while text(at + 1) == ":"
                    && text(at + 2) == ":"
                    && matches!(tokens.get(at + 3), Some(TokenTree::Ident(_)))
                {
                    path.push(text(at + 3));
                    at += 3;
                }
                // An exported macro belongs to the root, wherever it is defined.
                if text(at + 1) != "!" {
                    mentions.push(Mention { path, name: None });
                }
            }
            _ => {
                if let TokenTree::Group(group) = &tokens[at] {
                    scan(group.stream(), mentions);
                }
            }
        }
        at += 1;
    }
}

/// Parses a tree of a `use`, such as `crate::{a::B, c as d}`.
fn tree(tokens: &[TokenTree], before: &[String], mentions: &mut Vec<Mention>) {
    for branch in tokens.split(|token| token.to_string() == ",").filter(|branch| !branch.is_empty()) {
        let (mut path, mut name) = (before.to_vec(), None);
        let mut words = branch.iter();
        while let Some(token) = words.next() {
            match token {
                TokenTree::Group(group) => {
                    tree(&group.stream().into_iter().collect::<Vec<_>>(), &path, mentions);
                    path.clear();
                }
                TokenTree::Ident(word) if word == "as" => name = words.next().map(ToString::to_string),
                TokenTree::Ident(word) if word == "self" && !path.is_empty() => {}
                TokenTree::Ident(word) => path.push(word.to_string()),
                TokenTree::Punct(punct) if punct.as_char() == '*' => name = Some("*".to_owned()),
                _ => {}
            }
        }
        if let Some(last) = path.last() {
            let name = name.or_else(|| Some(last.clone()));
            mentions.push(Mention { path, name });
        }
    }
}

fn shown(module: &Module) -> String {
    if module.is_empty() { "lib".to_owned() } else { module.join("/") }
}

/// Every crate of the workspace that users depend on.
fn crates() -> Vec<String> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let folders = fs::read_dir(workspace).unwrap().map(|entry| entry.unwrap().path());
    let mut crates: Vec<_> = folders.filter(|folder| folder.join("src/lib.rs").exists()).collect();
    crates.retain(|folder| !folder.ends_with("benches") && !folder.ends_with("docs"));
    crates.sort();
    crates.iter().map(|folder| folder.file_name().unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn no_circle_of_imports_leads_across_rooms() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut across = Vec::new();
    for name in crates() {
        for circle in Sources::of(&workspace.join(&name)).circles() {
            let files: Vec<_> = circle.iter().map(shown).collect();
            println!("{name}: {}", files.join(", "));
            let rooms: BTreeSet<_> = circle.iter().map(|module| module.first()).collect();
            if rooms.len() > 1 {
                across.push((name.clone(), files));
            }
        }
    }
    assert!(across.is_empty(), "circles across rooms: {across:#?}");
}
