//! Server reflection: what grpcurl and its like ask for instead of .proto files.

use tonic_reflection::server::{Builder, v1, v1alpha};

/// All that is served, and what its errors carry: `ErrorInfo` and its like travel as `google.protobuf.Any`,
/// which a client can only show when it finds their types here.
const DESCRIPTOR_SETS: [&[u8]; 5] = [
    countersign_proto::FILE_DESCRIPTOR_SET,
    tonic_health::pb::FILE_DESCRIPTOR_SET,
    tonic_types::pb::FILE_DESCRIPTOR_SET,
    tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
    tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
];

const COMPLETE: &str = "the descriptors are compiled in, and a test proves that they are complete";

/// Reflection as `grpc.reflection.v1`.
pub fn v1() -> v1::ServerReflectionServer<impl v1::ServerReflection> {
    builder().build_v1().expect(COMPLETE)
}

/// Reflection as `grpc.reflection.v1alpha`, which older clients ask for.
pub fn v1alpha() -> v1alpha::ServerReflectionServer<impl v1alpha::ServerReflection> {
    builder().build_v1alpha().expect(COMPLETE)
}

fn builder() -> Builder<'static> {
    DESCRIPTOR_SETS.into_iter().fold(Builder::configure(), Builder::register_encoded_file_descriptor_set)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prost::Message as _;

    use super::*;

    #[test]
    fn the_descriptors_need_no_file_that_is_not_among_them() {
        let mut files = BTreeSet::new();
        let mut imports = BTreeSet::new();
        for set in DESCRIPTOR_SETS {
            let set = prost_types::FileDescriptorSet::decode(set).expect("a descriptor set");
            for file in set.file {
                imports.extend(file.dependency.clone());
                files.insert(file.name().to_owned());
            }
        }
        let missing: Vec<_> = imports.difference(&files).collect();
        assert!(missing.is_empty(), "{missing:?}");
        assert!(imports.contains("google/protobuf/timestamp.proto"), "the contract has times");
    }
}
