"""Small areas: laying a region's weights out over its counties, tracts or block groups."""
