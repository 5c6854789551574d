# The release identity: reads only the source and destination keys of each project.
path "secret/data/oms/+/source*" {
  capabilities = ["read"]
}
path "secret/data/oms/+/destination" {
  capabilities = ["read"]
}

# Versions and the names of the keys, without their values.
path "secret/metadata/oms/+/source*" {
  capabilities = ["read"]
}
path "secret/metadata/oms/+/destination" {
  capabilities = ["read"]
}
path "secret/subkeys/oms/+/source*" {
  capabilities = ["read"]
}
path "secret/subkeys/oms/+/destination" {
  capabilities = ["read"]
}
