//! Scopes as types: the trait of marker types, and the macro that declares them.
//!
//! Tuples of markers are in [`requirement`](super::requirement). A group's catalog is a
//! [`ScopeCatalog`](crate::ScopeCatalog).

use super::name::Scope;

/// A type that names one scope.
///
/// ```
/// use apikey_core::{Scope, ScopeMarker};
///
/// apikey_core::scopes! { Files { FilesRead = "files:read" } }
///
/// assert_eq!(FilesRead::SCOPE, Scope::from_static("files:read"));
/// ```
///
/// Every marker also implements [`RequiredScopes`](crate::RequiredScopes). [`scopes!`](crate::scopes) declares markers
/// together with their catalog. Other types may implement the trait as well.
#[diagnostic::on_unimplemented(
    message = "`{Self}` isn't a scope",
    label = "not declared with `scopes!`",
    note = "declare the scope with the `scopes!` macro and name the type it makes"
)]
pub trait ScopeMarker: Send + Sync + 'static {
    /// The scope it stands for.
    ///
    /// ```
    /// use apikey_core::ScopeMarker;
    ///
    /// apikey_core::scopes! { Files { FilesRead = "files:read" } }
    ///
    /// assert_eq!(FilesRead::SCOPE.as_str(), "files:read");
    /// ```
    const SCOPE: Scope;
}

/// Declares scopes: one marker type each, and one type with the catalog of all of them.
///
/// ```
/// use apikey_core::{ScopeMarker, scopes};
///
/// scopes! {
///     /// What a key may do with files.
///     pub Files {
///         /// List and download files.
///         FilesRead = "files:read",
///         /// Upload and replace files.
///         FilesWrite = "files:write",
///     }
/// }
///
/// assert_eq!(FilesRead::SCOPE.as_str(), "files:read");
/// let described: Vec<_> = Files::catalog().scopes().map(|(_, text)| text.to_owned()).collect();
/// assert_eq!(described, ["List and download files.", "Upload and replace files."]);
/// ```
///
/// Markers have the visibility of their group and implement `Debug`, `Clone` and `Copy`. A doc comment is optional and
/// becomes the scope's description, as with [`ScopeCatalog::scope`](crate::ScopeCatalog::scope). Other attributes apply
/// to the type. One call may declare several groups; combine their catalogs with
/// [`merge`](crate::ScopeCatalog::merge).
///
/// A malformed scope, or one that a group declares twice, doesn't compile:
///
/// ```compile_fail,E0080
/// apikey_core::scopes! { Files { FilesRead = "files read" } }
/// ```
///
/// ```compile_fail,E0080
/// apikey_core::scopes! { Files { FilesRead = "files:read", FilesList = "files:read" } }
/// ```
#[macro_export]
macro_rules! scopes {
    (@doc doc = $text:expr) => { $text };
    (@doc $($other:tt)*) => { "" };

    ($(
        $(#[$($group_attribute:tt)*])*
        $visibility:vis $group:ident {
            $(
                $(#[$($attribute:tt)*])*
                $marker:ident = $scope:literal
            ),+ $(,)?
        }
    )+) => { $(
        $(#[$($group_attribute)*])*
        ///
        /// [`catalog`](Self::catalog) lists its scopes.
        #[allow(clippy::exhaustive_structs, reason = "it is only a name, and never gets fields")]
        #[derive(Debug, Clone, Copy)]
        $visibility struct $group;

        impl $group {
            /// The scopes of this group with their descriptions.
            #[must_use]
            $visibility fn catalog() -> $crate::ScopeCatalog {
                $crate::ScopeCatalog::new()$(.scope(
                    <$marker as $crate::ScopeMarker>::SCOPE,
                    ::core::concat!($($crate::scopes!(@doc $($attribute)*), "\n",)* ""),
                ))+
            }
        }

        const _: () = $crate::Scope::assert_distinct(&[$($scope),+]);

        $(
            $(#[$($attribute)*])*
            ///
            #[doc = ::core::concat!("The scope `", $scope, "`.")]
            #[allow(clippy::exhaustive_structs, reason = "it is only a name, and never gets fields")]
            #[derive(Debug, Clone, Copy)]
            $visibility struct $marker;

            impl $crate::ScopeMarker for $marker {
                const SCOPE: $crate::Scope = $crate::Scope::from_static($scope);
            }
        )+
    )+ };
}

#[cfg(test)]
mod tests {
    use crate::{RequiredScopes, ScopeMarker, ScopeSet};

    crate::scopes! {
        /// Files.
        pub(crate) Files {
            /// List and
            /// download files.
            ///
            /// Thumbnails too.
            #[derive(PartialEq, Eq)]
            #[doc(alias = "download")]
            FilesRead = "files:read",
            FilesWrite = "files:write",
            #[doc = concat!("Made ", "by a macro.")]
            FilesAudit = "files:audit"
        }
        Keys {
            /** A block. */
            KeysRead = "keys:read",
        }
    }

    fn described(catalog: &crate::ScopeCatalog) -> Vec<(&str, &str)> {
        catalog.scopes().map(|(scope, text)| (scope.as_str(), text)).collect()
    }

    #[test]
    fn given_a_declaration_when_its_catalog_is_made_then_doc_comments_are_the_descriptions() {
        assert_eq!(
            described(&Files::catalog()),
            [
                ("files:audit", "Made by a macro."),
                ("files:read", "List and download files.\n\nThumbnails too."),
                ("files:write", ""),
            ]
        );
        assert_eq!(described(&Keys::catalog()), [("keys:read", "A block.")]);
    }

    #[test]
    fn given_a_marker_when_used_then_it_is_the_scope_and_a_requirement() {
        assert_eq!(FilesWrite::SCOPE.as_str(), "files:write");
        assert!(FilesWrite::met_by(&ScopeSet::parse("files:*").unwrap()));
        assert!(!FilesWrite::met_by(&ScopeSet::parse("files:read").unwrap()));
    }

    #[test]
    fn given_a_marker_when_used_as_a_value_then_it_has_the_derived_traits_and_those_asked_for() {
        let marker = FilesRead;
        let copy = marker;
        assert_eq!(marker, copy);
        assert_eq!(format!("{:?}", (marker, Files, Keys)), "(FilesRead, Files, Keys)");
    }
}
