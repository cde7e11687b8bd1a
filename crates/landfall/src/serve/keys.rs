//! What is minted at first start and kept for good: the root key pair, the key of ECR's tokens, the local certificate
//! authority.

use std::fs::{OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use desired::Certificate;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use serde::{Deserialize, Serialize};
use types::{AccountId, Region};

/// The account of a state folder that was not told another one.
pub const DEFAULT_ACCOUNT: &str = "000000000001";

/// Why the keys cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// A file failed.
    #[error("{path}: {cause}")]
    File {
        /// The file.
        path: PathBuf,
        /// The system's words.
        cause: std::io::Error,
    },
    /// The file does not hold keys.
    #[error("{path} cannot be read: {cause}. Restore it, or start over with `landfall down --purge`")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The decoder's words.
        cause: String,
    },
    /// Another account than the folder's.
    #[error(
        "this state folder belongs to account {found}, not {asked}: leave --account out, or choose another --state-dir"
    )]
    Account {
        /// The folder's account.
        found: AccountId,
        /// What was asked for.
        asked: AccountId,
    },
    /// The certificates cannot be made.
    #[error("the local certificate authority cannot be made: {0}")]
    Certificate(#[from] rcgen::Error),
    /// No random numbers.
    #[error("the operating system gives no random numbers")]
    Random,
}

/// The keys of a state folder.
#[derive(Clone, Serialize, Deserialize)]
pub struct Keys {
    /// The account of the root user.
    pub account: AccountId,
    /// The root user's access key id.
    pub access_key_id: String,
    /// The root user's secret key.
    pub secret_access_key: String,
    /// The key of ECR's tokens and layer links.
    pub token_key: [u8; 32],
    /// The authority's certificate, PEM.
    pub ca_certificate: String,
    /// The authority's private key, PEM.
    ca_key: String,
}

/// The certificates for AWS's names, with their private key.
#[derive(Clone, Serialize, Deserialize)]
pub struct Certificates {
    /// The names that they are for, by region.
    names: Vec<Vec<String>>,
    /// One a region; each with the authority's after it.
    pub certificates: Vec<Certificate>,
    /// The private key of all of them, PEM.
    pub key: String,
}

impl Keys {
    /// Reads the keys of a state folder, or mints them for `account`.
    ///
    /// # Errors
    /// When the folder cannot be read or written, or belongs to another account.
    pub fn load_or_mint(state: &Path, account: Option<&AccountId>) -> Result<Self, KeysError> {
        if let Some(keys) = Self::load(state)? {
            return match account {
                Some(asked) if *asked != keys.account => {
                    Err(KeysError::Account { found: keys.account, asked: asked.clone() })
                }
                _ => Ok(keys),
            };
        }
        let default = || AccountId::new(DEFAULT_ACCOUNT).map_err(|_| KeysError::Random);
        let keys = Self::mint(account.cloned().map_or_else(default, Ok)?)?;
        write_private(state, &state.join("credentials.json"), &keys)?;
        Ok(keys)
    }

    /// Reads the keys of a state folder. None: it has none yet.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn load(state: &Path) -> Result<Option<Self>, KeysError> {
        let path = state.join("credentials.json");
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|error| KeysError::Malformed { path, cause: error.to_string() }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(KeysError::File { path, cause }),
        }
    }

    fn mint(account: AccountId) -> Result<Self, KeysError> {
        let random = ring::rand::SystemRandom::new();
        let fill =
            |bytes: &mut [u8]| ring::rand::SecureRandom::fill(&random, bytes).map_err(|_| KeysError::Random);
        let (mut secret, mut token_key) = ([0_u8; 30], [0_u8; 32]);
        fill(&mut secret)?;
        fill(&mut token_key)?;
        let ca_key = KeyPair::generate()?;
        Ok(Self {
            account,
            access_key_id: format!("AKIA{}", types::random_hex(16).to_uppercase()),
            secret_access_key: STANDARD.encode(secret),
            token_key,
            ca_certificate: authority()?.self_signed(&ca_key)?.pem(),
            ca_key: ca_key.serialize_pem(),
        })
    }

    /// Certificates for the names of regions, signed by the authority.
    ///
    /// # Errors
    /// When the kept authority cannot be read.
    pub fn certificates(&self, named: Vec<(Region, Vec<String>)>) -> Result<Certificates, KeysError> {
        let ca_key = KeyPair::from_pem(&self.ca_key)?;
        let issuer = Issuer::new(authority()?, ca_key);
        let key = KeyPair::generate()?;
        let mut made = Certificates { names: Vec::new(), certificates: Vec::new(), key: key.serialize_pem() };
        for (region, names) in named {
            let mut leaf = CertificateParams::new(names.clone())?;
            leaf.distinguished_name.push(DnType::CommonName, format!("Landfall: AWS endpoints in {region}"));
            leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            leaf.use_authority_key_identifier_extension = true;
            let leaf = leaf.signed_by(&key, &issuer)?;
            let chain = format!("{}{}", leaf.pem(), self.ca_certificate);
            made.certificates.push(Certificate { region: region.to_string(), chain });
            made.names.push(names);
        }
        Ok(made)
    }

    /// The certificates for AWS's names: those that were made before, unless the names are others by now.
    ///
    /// # Errors
    /// When the folder cannot be read or written.
    pub fn endpoint_certificates(&self, state: &Path) -> Result<Certificates, KeysError> {
        let (path, named) = (state.join("endpoints.json"), aws_names());
        let kept =
            std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<Certificates>(&bytes).ok());
        let fits = |kept: &Certificates| {
            kept.names.iter().eq(named.iter().map(|(_, names)| names))
                && kept.certificates.len() == named.len()
                && kept.certificates.iter().all(|one| one.chain.ends_with(&self.ca_certificate))
        };
        if let Some(kept) = kept.filter(fits) {
            return Ok(kept);
        }
        let certificates = self.certificates(named)?;
        write_private(state, &path, &certificates)?;
        Ok(certificates)
    }
}

/// Writes a file that its owner alone may read, whole or not at all.
fn write_private<T: Serialize>(state: &Path, path: &Path, content: &T) -> Result<(), KeysError> {
    let next = path.with_extension("json.next");
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&next)?;
        file.write_all(&serde_json::to_vec_pretty(content)?)?;
        file.sync_all()?;
        std::fs::rename(&next, path)?;
        std::fs::File::open(state)?.sync_all()
    };
    write().map_err(|cause| KeysError::File { path: path.to_owned(), cause })
}

fn authority() -> Result<CertificateParams, KeysError> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, "Landfall local authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

/// The names of AWS that are answered inside VPCs, by region: the services' own, and those of interface endpoints.
/// Those that belong to no region are with the first one.
pub fn aws_names() -> Vec<(Region, Vec<String>)> {
    let own = |regions: &[Region]| -> Vec<String> {
        let endpoints = control::project::endpoints(regions);
        endpoints.into_iter().flat_map(|endpoint| endpoint.names).collect()
    };
    let global = own(&[]);
    let named = |(place, region): (usize, Region)| {
        let mut names = own(std::slice::from_ref(&region));
        if place > 0 {
            names.retain(|name| !global.contains(name));
        }
        names.extend(control::project::interface_endpoint_names(&region));
        (region, names)
    };
    Region::all().enumerate().map(named).collect()
}

/// Makes the state folder, for its owner alone: also one that was there, as the database in it holds the keys of
/// role sessions.
///
/// # Errors
/// When it cannot be made.
pub fn make_state(state: &Path) -> Result<(), KeysError> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(state)
        .and_then(|()| std::fs::set_permissions(state, Permissions::from_mode(0o700)))
        .map_err(|cause| KeysError::File { path: state.to_owned(), cause })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_of_a_folder_stay_the_same_and_are_the_owner_s_alone() {
        let folder = tempfile::tempdir().unwrap();
        let keys = Keys::load_or_mint(folder.path(), None).unwrap();
        let again = Keys::load_or_mint(folder.path(), None).unwrap();
        assert_eq!(keys.secret_access_key, again.secret_access_key);
        let mode = std::fs::metadata(folder.path().join("credentials.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let other = AccountId::new("123456789012").unwrap();
        assert!(matches!(Keys::load_or_mint(folder.path(), Some(&other)), Err(KeysError::Account { .. })));
    }

    #[test]
    fn a_folder_that_others_could_read_is_closed_to_them() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        make_state(folder.path()).unwrap();
        assert_eq!(std::fs::metadata(folder.path()).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn the_authority_signs_the_names_of_aws() {
        let folder = tempfile::tempdir().unwrap();
        let keys = Keys::load_or_mint(folder.path(), None).unwrap();
        let named = aws_names();
        for name in ["api.ecr.ap-northeast-2.amazonaws.com", "*.dkr.ecr.us-east-1.vpce.amazonaws.com"] {
            assert!(named.iter().any(|(_, names)| names.iter().any(|found| found == name)), "{named:?}");
        }
        assert_eq!(
            named.iter().filter(|(_, names)| names.iter().any(|name| name == "iam.amazonaws.com")).count(),
            1
        );
        let regions = named.len();
        let made = keys.certificates(named).unwrap();
        assert_eq!(made.certificates.len(), regions);
        for one in made.certificates {
            assert_eq!(one.chain.matches("BEGIN CERTIFICATE").count(), 2);
            // Java takes handshakes of 32 KB, Mbed TLS of 16.
            assert!(one.chain.len() < 8 << 10, "{}", one.chain.len());
        }
        let state = folder.path();
        let again = || keys.endpoint_certificates(state).unwrap().key;
        assert_eq!(again(), again(), "they are kept");
    }
}
