"""What sources split and read, against samples and against anything at all."""
