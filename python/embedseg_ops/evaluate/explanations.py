"""What each measure says, for people who did not read the paper; docs/method.md has the formulas."""

EXPLANATIONS = {
    "AP": (
        "Average precision at an IoU. A predicted object is right if it covers a true one so well that their overlap, "
        "divided by the area of both together (the IoU), reaches the threshold; each object is matched once. AP is the "
        "number of right objects divided by right + missed + false ones: 1 is perfect. It is computed for each image "
        "and averaged over the images."
    ),
    "pooled": "The same with the objects of all images counted together, so that crowded images weigh more.",
    "mean AP": "The mean of AP over the nine thresholds from 0.50 to 0.90: it asks for exact outlines, too.",
    "SBD": (
        "Symmetric best Dice: how well, on average, an object is covered by the best object of the other side (Dice: "
        "twice the overlap divided by the sum of the areas), the worse of both directions. 1 is perfect."
    ),
    "FBD": "Foreground Dice: objects against background, whichever object a pixel belongs to. 1 is perfect.",
    "DiC": "Difference in count: predicted minus true number of objects, averaged over the images. 0 is best.",
    "|DiC|": "Its absolute value for each image, averaged: too many here and too few there do not cancel out.",
    "area ratio": "The area of all predicted objects divided by that of all true ones; above 1, outlines are too wide.",
}
