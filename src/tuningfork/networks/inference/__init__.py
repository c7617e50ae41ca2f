"""The same networks with frozen parameters, faster where only derivatives by the pixels are needed."""
