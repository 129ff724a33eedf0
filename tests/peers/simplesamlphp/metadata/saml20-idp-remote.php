<?php
// Each identity provider that this application knows is one file.
foreach (glob(getenv('PEER_FOLDER') . '/*-idp.xml') as $file) {
    foreach (SimpleSAML\Metadata\SAMLParser::parseDescriptorsFile($file) as $entityId => $entity) {
        $metadata[$entityId] = $entity->getMetadata20IdP();
    }
}
