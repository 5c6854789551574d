# Two identities, the one of the release: the keys of source and destination, and nothing else.
path "secret/data/oms/media/source" {
  capabilities = ["read"]
}
path "secret/data/oms/media/destination" {
  capabilities = ["read"]
}

# Versions, and which keys are there, without their values.
path "secret/metadata/oms/media/source" {
  capabilities = ["read"]
}
path "secret/metadata/oms/media/destination" {
  capabilities = ["read"]
}
path "secret/subkeys/oms/media/source" {
  capabilities = ["read"]
}
path "secret/subkeys/oms/media/destination" {
  capabilities = ["read"]
}
