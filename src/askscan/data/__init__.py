"""What users bring: readers, annotations, prepared scenes, the scenes on the device, batches."""
