//! Reading golden vectors and comparing with them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use skein_engine::store::Store;
use tch::{Kind, Tensor};

/// Tolerance in double precision, relative to the largest entry of the expected tensor.
pub(crate) const TOLERANCE: f64 = 1e-9;

/// Differences of this size are rounding, whatever the tensor's own size.
const NOISE: f64 = 1e-15;
/// A tensor of which all is below this, some forty times the rounding of 1, is zero but for rounding: the
/// gradient of a shift, behind which a norm takes it away again. How large the rounding is hangs on the
/// order in which a processor's kernels add.
const ZERO: f64 = 1e-14;

/// The tensors of one file.
pub(crate) struct Vectors {
    tensors: HashMap<String, Tensor>,
    prefix: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

impl Vectors {
    /// A file that the repository carries.
    pub(crate) fn read(name: &str) -> Self {
        Self::open(&root().join("tests/golden").join(format!("{name}.safetensors")))
    }

    /// A real-size file that lies beside the repository, if it does.
    pub(crate) fn read_beside(name: &str) -> Option<Self> {
        let path = root().join("../shared/golden").join(format!("{name}.safetensors"));
        path.exists().then(|| Self::open(&path))
    }

    fn open(path: &Path) -> Self {
        let tensors = Tensor::read_safetensors(path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { tensors: tensors.into_iter().collect(), prefix: String::new() }
    }

    /// The tensors whose names begin with `prefix`, without it.
    pub(crate) fn under(&self, prefix: &str) -> Self {
        let inner = self.tensors.iter().filter_map(|(name, tensor)| {
            Some((name.strip_prefix(prefix)?.to_owned(), tensor.shallow_clone()))
        });
        let tensors: HashMap<_, _> = inner.collect();
        assert!(!tensors.is_empty(), "no tensor begins with {}{prefix}", self.prefix);
        Self { tensors, prefix: format!("{}{prefix}", self.prefix) }
    }

    /// Takes over what is missing here and begins with `prefix` in another part.
    pub(crate) fn adopt(&mut self, other: &Self, prefix: &str) {
        for (name, tensor) in other.tensors.iter().filter(|(name, _)| name.starts_with(prefix)) {
            self.tensors.entry(name.clone()).or_insert_with(|| tensor.shallow_clone());
        }
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.tensors.keys().cloned().collect();
        names.sort();
        names
    }

    /// The cases of the file: the parts of names before an input `x`, of at most `depth` fields.
    pub(crate) fn groups(&self, depth: usize) -> Vec<String> {
        let names = self.names();
        let cases = names.iter().filter_map(|name| name.strip_suffix(".x"));
        cases
            .filter(|case| case.split('.').count() <= depth && !case.ends_with("grad"))
            .map(str::to_owned)
            .collect()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// A tensor as it is stored.
    pub(crate) fn raw(&self, name: &str) -> Tensor {
        let tensor =
            self.tensors.get(name).unwrap_or_else(|| panic!("no tensor {}{name}", self.prefix));
        tensor.shallow_clone()
    }

    /// A tensor in double precision.
    pub(crate) fn get(&self, name: &str) -> Tensor {
        self.raw(name).to_kind(Kind::Double)
    }

    pub(crate) fn number(&self, name: &str) -> f64 {
        self.get(name).double_value(&[0])
    }

    /// Asserts that `got` equals the stored tensor.
    #[track_caller]
    pub(crate) fn check(&self, name: &str, got: &Tensor) {
        self.check_to(name, got, TOLERANCE);
    }

    #[track_caller]
    pub(crate) fn check_to(&self, name: &str, got: &Tensor, tolerance: f64) {
        let expected = self.get(name);
        assert_eq!(got.numel(), expected.numel(), "{}{name}", self.prefix);
        let got = got.detach().to_kind(Kind::Double).reshape(expected.size());
        let scale = expected.abs().max().double_value(&[]).max(1e-12);
        let error = (&got - &expected).abs().max().double_value(&[]);
        let largest = |tensor: &Tensor| tensor.abs().max().double_value(&[]);
        if error < NOISE || largest(&expected) < ZERO && largest(&got) < ZERO {
            return;
        }
        let error = error / scale;
        // Written so that an error that is not a number fails.
        assert!(error <= tolerance, "{}{name}: relative error {error:e}", self.prefix);
    }

    /// Copies every stored weight and statistic of a network; `rename` maps the file's names.
    pub(crate) fn fill(
        &self,
        store: &Store,
        prefixes: impl IntoIterator<Item = &'static str>,
        rename: impl Fn(&str) -> String,
    ) {
        for prefix in prefixes {
            if !self.names().iter().any(|name| name.starts_with(prefix)) {
                continue;
            }
            let part = self.under(prefix);
            for name in part.names().iter().filter(|name| !name.starts_with("alpha")) {
                let (name, value) = (rename(name), part.get(name));
                let size = store.get(&name).map(Tensor::size).unwrap_or_default();
                // A 1×1 convolution of one pixel is a linear layer here.
                let value =
                    if size.len() < value.dim() { value.view(size.as_slice()) } else { value };
                store.set(&name, &value).unwrap_or_else(|error| panic!("{prefix}{name}: {error}"));
            }
        }
    }
}
