"""Small areas: a region's weights distributed across its counties, tracts or block groups."""
